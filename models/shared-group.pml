/*
 * One QoS 2 message of a Shared Subscription and its members, across changes of the leader of the group's shard.
 *
 * The leader commits BIND, which names a member, before it gives the message; the index of the BIND is the identity
 * of the message there. Members 0 and 1 are stored sessions: their shards queue the message or refuse it, and what
 * they decide is committed before they answer. Member 2 is a session that ends with its connection, at a gateway
 * that remembers what it took while its process lives. After a refusal the leader commits UNBIND, and binds anew.
 * A new leader knows what was committed, and asks the bound member again.
 *
 * What fails: the leader dies at any time, what it appended and had not committed survives or not, and what it sent
 * may arrive late, at any time. Members leave the group and join it again. The gateway's process ends, once.
 *
 * Holds: the message reaches one member at most [MQTT-4.8.2-5]; and where a member stays, one, but where the
 * process of a gateway ended that had been given it.
 *
 * Negative controls, each drops one rule and must fail:
 *   GIVE_EARLY        the message is given when BIND is appended, not when it is committed
 *   REFUSE_IN_MEMORY  a stored member's shard does not log that it refused
 *   UNBIND_EARLY      the next BIND names another member before the one before has refused
 *   FORGETFUL         the gateway does not remember what it took
 *   NEW_PROCESS       a gateway's process that was started again says that its connection is gone
 */
#define MEMBERS 3
#define LIVE 2
#define FAILOVERS 8
#define BINDS 3
#define MOVES 8

#define NOBODY 3

/* The group's shard. `bind` counts BINDs: 0 while there was none. */
byte bind = 0;
byte boundTo = NOBODY;
bool done = false;
/* Appended by the leader, and not committed: what it would be. */
bool dirty = false;
byte nextBind;
byte nextTo;
bool nextDone;

byte leader = 0;
/* The leader waits for the answer of this BIND; 0 for none. */
byte asked = 0;

/* Messages under way to a member, by identity: the leader's view is not looked at. */
bool under[12];
#define way(m, b) under[(m) * 4 + (b)]

/* Members: is one now; what its shard or gateway has taken, and refused, by identity. */
bool member[MEMBERS];
bool taken[12];
bool refused[12];
#define took(m, b) taken[(m) * 4 + (b)]
#define denied(m, b) refused[(m) * 4 + (b)]
byte received[MEMBERS];

bool restarted = false;
/* The gateway's process that was given the message has ended, with its session. */
bool ended = false;
byte moves = 0;

inline commit() {
  bind = nextBind;
  boundTo = nextTo;
  done = nextDone;
  dirty = false
}

inline append(b, t, d) {
  nextBind = b;
  nextTo = t;
  nextDone = d;
  dirty = true
}

inline chooseMember() {
  if
  :: member[0] -> append(bind + 1, 0, false)
  :: member[1] -> append(bind + 1, 1, false)
  :: member[2] && !restarted -> append(bind + 1, 2, false)
  fi
}

/* The answer reaches the leader, if it still waits for that one. */
inline answerOk(b) {
  if
  :: asked == b && bind == b && !dirty -> append(bind, boundTo, true); asked = 0
  :: else
  fi
}

inline answerGone(b) {
  if
  :: asked == b && bind == b && !dirty -> append(bind, NOBODY, false); asked = 0
  :: else
  fi
}

active proctype Leader() {
end:
  do
  :: atomic { !dirty && !done && boundTo == NOBODY && bind < BINDS -> chooseMember() }
#ifdef GIVE_EARLY
  :: atomic { dirty && nextBind != bind && nextTo != NOBODY && asked != nextBind ->
       way(nextTo, nextBind) = true }
#endif
#ifdef UNBIND_EARLY
  :: atomic { !dirty && !done && boundTo != NOBODY && asked == bind && bind < BINDS -> chooseMember() }
#endif
  :: atomic { dirty -> commit() }
  :: atomic { !dirty && !done && boundTo != NOBODY && asked != bind ->
       asked = bind;
       way(boundTo, bind) = true }
  /* The link was lost, or an answer with the leader before: it asks again. */
  :: atomic { asked != 0 && asked == bind && boundTo != NOBODY && !way(boundTo, bind) -> asked = 0 }
  /* It dies: what was appended survives or not. */
  :: atomic {
       leader < FAILOVERS ->
         leader++;
         asked = 0;
         if
         :: dirty -> commit()
         :: dirty = false
         fi
     }
  od
}

/* The shard of a stored session: a decision is committed before it is answered. */
inline stored(m, b) {
  way(m, b) ->
    if
    :: took(m, b) -> answerOk(b); way(m, b) = false
    :: !took(m, b) && denied(m, b) -> answerGone(b); way(m, b) = false
    :: !took(m, b) && !denied(m, b) && member[m] ->
         took(m, b) = true;
         received[m]++;
         answerOk(b);
         if
         :: way(m, b) = false
         :: true /* another one, of the leader before, is still to come */
         fi
    :: !took(m, b) && !denied(m, b) && !member[m] ->
#ifndef REFUSE_IN_MEMORY
         denied(m, b) = true;
#endif
         answerGone(b);
         if
         :: way(m, b) = false
         :: true
         fi
    fi
}

inline gateway(b) {
  way(LIVE, b) ->
    if
    :: restarted ->
         /* Its session has ended, whatever it had been given. */
#ifdef NEW_PROCESS
         answerGone(b);
#else
         ended = true;
         answerOk(b);
#endif
         way(LIVE, b) = false
    :: !restarted && took(LIVE, b) -> answerOk(b); way(LIVE, b) = false
    :: !restarted && !took(LIVE, b) && denied(LIVE, b) -> answerGone(b); way(LIVE, b) = false
    :: !restarted && !took(LIVE, b) && !denied(LIVE, b) && member[LIVE] ->
#ifndef FORGETFUL
         took(LIVE, b) = true;
#endif
         received[LIVE]++;
         if
         :: answerOk(b)
         :: true /* the answer is lost with the leader */
         fi;
         if
         :: way(LIVE, b) = false
         :: true
         fi
    :: !restarted && !took(LIVE, b) && !denied(LIVE, b) && !member[LIVE] ->
         denied(LIVE, b) = true;
         answerGone(b);
         way(LIVE, b) = false
    fi
}

inline once() {
  assert(received[0] + received[1] + received[2] <= 1)
}

active proctype Members() {
  atomic { member[0] = true; member[1] = true; member[2] = true };
end:
  do
  :: atomic { stored(0, 1); once() }
  :: atomic { stored(0, 2); once() }
  :: atomic { stored(0, 3); once() }
  :: atomic { stored(1, 1); once() }
  :: atomic { stored(1, 2); once() }
  :: atomic { stored(1, 3); once() }
  :: atomic { gateway(1); once() }
  :: atomic { gateway(2); once() }
  :: atomic { gateway(3); once() }
  /* Member 1 stays. */
  :: atomic { moves < MOVES -> moves++; member[0] = !member[0] }
  :: atomic { moves < MOVES && !restarted -> moves++; member[LIVE] = !member[LIVE] }
  :: atomic { !restarted -> restarted = true; member[LIVE] = false }
  od
}

/* When nothing can happen any more, it is with a member, or ended with the session that had been given it. */
active proctype Outcome() {
  timeout -> assert(!done || ended || received[0] + received[1] + received[2] == 1);
  assert(done || bind == BINDS)
}
