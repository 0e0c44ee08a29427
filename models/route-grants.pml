/*
 * Route grants of one shard, which outlive the leader that gave them (ADR 0020).
 *
 * Three voters. Nodes 0 and 1 may lead; node 2 takes publishes, and holds the grants. A leader may grant only
 * under its grant lease: a majority has answered a heartbeat of at most LEASE ago. The holder counts a grant
 * from sending its request, once it has read what the leader had announced before; the leader counts it from
 * its answer, MARGIN longer. A voter remembers how long what it answered last may matter: LEASE, then a grant,
 * then MARGIN. It says so with its promise, and the next leader waits for the longest of them, or for the
 * routes to be known. A subscription is answered once every other node has its route or holds no grant. A leader
 * grants to its own node as to any other. To hand over, it says what it granted and what it still waits for, gives
 * a last grant to itself, and grants no more; of voters that promised none but that leader, nothing else counts.
 *
 * Time goes in ticks. During the longest wait, one clock may be off by one tick from the others. Voters promise
 * at any time, also while they hear the leader: a process that seems dead may not be. A deposed leader does not
 * know it before its lease ends, and still answers what it committed. Views are those of view-formation.pml: what is
 * committed is in every later view.
 *
 * Holds: while a node routes, it has the route of every answered subscription.
 *
 * Negative controls, each drops one rule and must fail:
 *   KEEP_GRANT    a grant is kept past its end
 *   NO_WAIT       a new leader does not wait for what earlier ones granted
 *   GRANT_ONLY    it waits for a grant, and not for the lease of the leader that may still give one
 *   EARLY_SUBACK  a subscription is answered before the barrier
 *   FAST_CLOCK    the clock of one node is off by more
 *   FROM_RECEIPT  the holder counts a grant from its receipt
 *   OVERTAKES     a grant counts before what was announced ahead of it
 *   NO_LEASE      a leader grants without a lease
 *   STILL_GRANTS  a leader that hands over goes on granting
 *   NO_TABLE      it does not say what it granted
 */
#define NODES 3
#ifndef VIEWS
#define VIEWS 2
#endif
#define SUBS 1
/* Durations in ticks. A node that waits for the end of another's adds MARGIN, for the clocks. The lease counts
 * one less: a grant is given before its last tick. */
#define GRANT 2
#ifndef LEASE
#define LEASE 2
#endif
#define MARGIN 1
#define GRANT_OVER (GRANT + MARGIN)
#ifdef GRANT_ONLY
#define LEADER_OVER GRANT_OVER
#else
#define LEADER_OVER (LEASE - 1 + GRANT + MARGIN)
#endif

/* By node: the view promised, that it leads, that it stands for, with its votes; whether it hands over; the view
 * of the leader that handed over to it. */
byte views = 1;
byte promised[NODES];
byte led[NODES];
byte stands[NODES];
byte votes[NODES];
bool yielded[NODES];
byte handed[NODES];
/* Versions of the shard's routes: committed; answered; known by node; committed or found by a leader. */
byte committed, subacked;
byte known[NODES];
byte own[NODES];
/* The holder's request under way: 1 asked, 2 answered; its time; the version announced before the answer. */
byte stage[NODES], pend[NODES], after[NODES];
/* What is left of a node's grant; of a leader's heartbeat, with those who answered it; of its lease. */
byte hold[NODES];
byte beat[NODES], beatAcks[NODES], lease[NODES];
/* How long what a voter answered may matter; how long what earlier leaders granted; what a leader granted, to
 * whom. */
byte rest[NODES], old[NODES];
byte granted[NODES * NODES];
bool drifted;
hidden byte n;

#define isIn(node, set) (((set) >> (node)) & 1)
#define majority(set) ((set) == 3 || (set) >= 5)
#define down(x) x = ((x) > 0 -> (x) - 1 : 0)
#define raise(x, y) x = ((x) < (y) -> (y) : (x))
#define grantTo(l, p) granted[(l) * NODES + (p)]
#define leads(i) (led[i] != 0 && !yielded[i] && lease[i] > 0)
#define holds(i) (hold[i] > 0)

/* Who routes has the route of every answered subscription. */
inline check() {
  assert((!holds(0) || known[0] >= subacked) && (!holds(1) || known[1] >= subacked) &&
         (!holds(2) || known[2] >= subacked))
}

/* A tick of one node's clock. */
inline pass(i) {
#ifndef KEEP_GRANT
  down(hold[i]);
#endif
  down(pend[i]); down(beat[i]); down(lease[i]); down(rest[i]); down(old[i]);
  down(grantTo(i, 0)); down(grantTo(i, 1)); down(grantTo(i, 2));
  if
  :: pend[i] == 0 -> stage[i] = 0; after[i] = 0
  :: else
  fi;
  if
  :: beat[i] == 0 -> beatAcks[i] = 0
  :: else
  fi
}

inline tick() {
  d_step { pass(0); pass(1); pass(2) }
}

/* The clock of one node gains a tick, or the others do, and it loses one. */
#ifdef FAST_CLOCK
#define mayDrift true
#else
#define mayDrift !drifted
#endif
inline gain(i) {
  d_step { mayDrift -> drifted = true; pass(i) }
}

inline lose(x, y) {
  d_step { mayDrift -> drifted = true; pass(x); pass(y) }
}

inline sendBeat(i) {
  d_step {
    led[i] != 0 && !yielded[i] && beat[i] == 0 ->
      beat[i] = LEASE; beatAcks[i] = 1 << i; rest[i] = (led[0] == VIEWS || led[1] == VIEWS -> 0 : LEADER_OVER)
  }
}

inline ackBeat(i, l) {
  d_step {
    beat[l] > 0 && promised[i] == led[l] && !isIn(i, beatAcks[l]) ->
      beatAcks[l] = beatAcks[l] | (1 << i); rest[i] = (led[0] == VIEWS || led[1] == VIEWS -> 0 : LEADER_OVER)
  }
}

inline renew(i) {
  d_step {
    led[i] != 0 && !yielded[i] && majority(beatAcks[i]) && lease[i] < beat[i] -> lease[i] = beat[i]
  }
}

inline stepDown(i) {
  led[i] = 0; beat[i] = 0; beatAcks[i] = 0; lease[i] = 0; yielded[i] = false; stands[i] = 0; votes[i] = 0
}

inline vote(i, c) {
  if
  :: handed[c] != promised[i] -> raise(old[c], rest[i])
  :: else
  fi;
  promised[i] = stands[c];
  votes[c] = votes[c] | (1 << i);
  if
  :: majority(votes[c]) && votes[c] != 7 -> own[c] = committed
  :: else
  fi
}

inline stand(c) {
  d_step {
    views < VIEWS ->
      stepDown(c);
      views++;
      stands[c] = views;
      vote(c, c)
  }
}

inline promise(i, c) {
  d_step {
    stands[c] > promised[i] -> stepDown(i); vote(i, c)
  }
}

/* All know of the subscription: nothing is left to be missed. */
inline settle() {
  if
  :: known[0] == SUBS && known[1] == SUBS && known[2] == SUBS ->
       views = VIEWS; drifted = true; committed = SUBS; subacked = SUBS;
       n = 0;
       do
       :: n < NODES -> stepDown(n); promised[n] = 0; handed[n] = 0; own[n] = 0; hold[n] = 0; rest[n] = 0; old[n] = 0;
            stage[n] = 0; pend[n] = 0; after[n] = 0; grantTo(n, 0) = 0; grantTo(n, 1) = 0; grantTo(n, 2) = 0; n++
       :: else -> break
       od;
       n = 0
  :: else
  fi
}

inline establish(c) {
  d_step {
    stands[c] != 0 && majority(votes[c]) ->
      led[c] = stands[c]; stands[c] = 0; votes[c] = 0; handed[c] = 0;
      raise(known[c], own[c]);
      if
      :: known[c] == SUBS -> forget(c); settle()
      :: else
      fi;
      if
      :: led[c] == VIEWS -> rest[0] = 0; rest[1] = 0; rest[2] = 0
      :: else
      fi
  }
}

/* A node that knows all routes misses nothing, whatever it holds. */
inline forget(p) {
  stage[p] = 0; pend[p] = 0; after[p] = 0; hold[p] = 0; grantTo(0, p) = 0; grantTo(1, p) = 0
}

inline commit(i) {
  d_step {
    led[i] != 0 && !yielded[i] && committed < SUBS ->
      n = (promised[0] == led[i]) + (promised[1] == led[i]) + (promised[2] == led[i]);
      if
      :: n >= 2 -> committed++; known[i] = committed; own[i] = committed; forget(i)
      :: else
      fi;
      n = 0
  }
}

inline learn(p, l) {
  d_step {
    led[l] != 0 && known[p] < known[l] ->
      known[p] = known[l];
      if
      :: known[p] == SUBS ->
           forget(p); settle()
      :: else
      fi
  }
}

inline request(p) {
  d_step {
    stage[p] == 0 && known[p] < SUBS -> stage[p] = 1; pend[p] = GRANT
  }
}

inline grant(l, p) {
  d_step {
#ifdef NO_LEASE
    stage[p] == 1 && led[l] != 0 && !yielded[l] ->
#else
    stage[p] == 1 && leads(l) ->
#endif
      grantTo(l, p) = GRANT_OVER; after[p] = known[l]; stage[p] = 2
  }
}

/* A leader's node is a holder like any other. */
inline grantSelf(i) {
  d_step { leads(i) && hold[i] < GRANT && known[i] < SUBS -> hold[i] = GRANT; check() }
}

inline take(p) {
  d_step {
#ifdef OVERTAKES
    stage[p] == 2 ->
#else
    stage[p] == 2 && known[p] >= after[p] ->
#endif
#ifdef FROM_RECEIPT
      pend[p] = GRANT;
#endif
      raise(hold[p], pend[p]);
      stage[p] = 0; pend[p] = 0; after[p] = 0;
      check()
  }
}

#ifdef NO_WAIT
#define out(l, p) (grantTo(l, p) == 0)
#else
#define out(l, p) (grantTo(l, p) == 0 && old[l] == 0)
#endif

#ifdef EARLY_SUBACK
#define passes(l, p) true
#else
#define passes(l, p) (known[p] >= own[l] || out(l, p))
#endif

inline suback(l) {
  d_step {
    led[l] != 0 && own[l] > subacked && passes(l, 0) && passes(l, 1) && passes(l, 2) ->
      subacked = own[l];
      check()
  }
}

inline handOver(l, c) {
  d_step {
    leads(l) ->
#ifndef NO_TABLE
      raise(grantTo(c, 0), grantTo(l, 0));
      raise(grantTo(c, 1), grantTo(l, 1));
      raise(grantTo(c, 2), grantTo(l, 2));
      raise(old[c], old[l]);
#endif
      hold[l] = (known[l] < SUBS -> GRANT : 0);
      grantTo(c, l) = (known[l] < SUBS -> GRANT_OVER : 0);
      grantTo(c, c) = 0;
      handed[c] = led[l];
#ifndef STILL_GRANTS
      yielded[l] = true;
      lease[l] = 0
#endif
  }
}

active proctype Shard() {
  d_step {
    promised[0] = 1; promised[1] = 1; promised[2] = 1;
    led[0] = 1
  }
end:
  do
  :: tick()
  :: gain(0)
  :: gain(1)
  :: gain(2)
  :: lose(0, 1)
  :: lose(0, 2)
  :: lose(1, 2)
#define leader(i, x) \
  :: sendBeat(i) :: ackBeat(x, i) :: ackBeat(2, i) :: renew(i) :: stand(i) :: promise(x, i) :: promise(2, i) \
  :: establish(i) :: commit(i) :: learn(x, i) :: learn(2, i) :: grant(i, 2) :: grantSelf(i) :: suback(i) :: handOver(i, x)
  leader(0, 1)
  leader(1, 0)
  :: request(2)
  :: take(2)
  od
}
