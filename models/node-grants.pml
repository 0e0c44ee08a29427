/*
 * Route grants of nodes: a publish waits for no leader (ADR 0020).
 *
 * Nodes 0 and 1 lead one shard, 0 first; node 2 takes publishes. One subscription. Each leader's node grants: node
 * 2 counts a grant from the sending of its heartbeat, once it has read what was announced ahead of it; the giver
 * counts it from its answer, longer. Node 2 routes while it holds a grant of each of the two that it finds alive,
 * lacks no routes that it has asked for, and waits for no next leader. A leader answers the subscription once node 2
 * has acknowledged a barrier behind the route, or its grant is over, and it knows no later leader.
 * Node 2 waits for the next leader when it finds a member dead whose grant had run out before or whose routes it
 * lacks; when it has stood still, for each that it finds dead; and when a member whose grant had run out links anew and
 * has lost its lead since it last granted. It waits until it has found out who is alive; by then the next leader is
 * known.
 * A leader's node that stood still counts its grants anew.
 *
 * Wires are cut and healed, links break and lose what is under way, nodes stand still and wake up, one may die, FAULTS
 * in all. Time goes in ticks: a grant takes one, and one more for its giver, for a clock that is fast. A node finds
 * another dead only while no path leads to it, and alive again within a tick with a path. Who was on the other side of
 * a split when the subscription was answered may miss it, until both have run together for a tick. No new processes:
 * those count on a first link within 3 s.
 *
 * Holds: while node 2 routes, it knows the answered subscription.
 *
 * Negative controls, each drops one rule and must fail:
 *   KEEP_GRANT       a grant is kept past its end
 *   EARLY_SUBACK     the subscription is answered before the barrier
 *   SKIP_DOWN        the barrier does not wait for a node whose link is down
 *   FAST_CLOCK       a clock is off by more
 *   OVERTAKES        a grant counts before what was announced ahead of it
 *   DEPOSED_ANSWERS  a leader answers though it knows a later one
 *   ROUTES_LACKING   publishes do not wait for routes that were asked for
 *   SUSPECT_LACKING  nor if who was asked for them is not found alive
 *   RELINK_FORGETS   nor if the link is a new one
 *   NO_SUCCESSOR     a dead member's next leader is not waited for
 *   LATE_SUCCESSOR   the next leader is later than it is waited for
 *   KNOWN_ONLY       it is waited for only where the dead member is known as the leader
 *   WOKEN_ROUTES     nor after node 2 stood still
 *   WOKEN_ANSWERS    a node that stood still does not count its grants anew
 *   DEPOSED_GRANTS   a deposed leader grants on a new link without saying that it has lost its lead
 */
#define GRANT 1
#define GRANT_OVER 2
/* Ticks after which a split is over. */
#define TOGETHER 1
#define Q 2
#ifndef FAULTS
#define FAULTS 2
#endif

/* Pairs 0–2, 1–2 and 0–1: 0 the wire is cut, 1 there is no link, 2 there is one; of the last no link matters. */
byte pair[3] = 2;
bool hung[3], dead[2];
/* Links and wires that broke, nodes that stood still or died. */
byte faults;
/* Whether node 2 finds a leader alive. */
bool alive[2] = true;
/* By leader: ticks since there is a path again. */
byte together[2] = TOGETHER;

bool committed, elected, deposed, answered, apart;
/* Leader 0 has lost its lead, and node 2 has counted no grant of it since. */
bool lost;
byte who;
bool own[2];
/* By leader: what is on the way to node 2, in this order; whether node 2 lacks routes of it. */
#define VIEW 1
#define NEWER 2
#define ROUTE 4
#define BARRIER 8
byte lane[2];
bool lacks[2];
/* The barrier: 1 asked, 2 acknowledged. */
byte asked[2];
/* What node 2 knows: the leader, the subscription. */
byte leader;
bool known, drifted;
/* A grant under way: its time; what was announced before. */
byte pend[2], after[2];
byte hold[2], granted[2];
bool gone[2];

#define down(x) x = ((x) > 0 -> (x) - 1 : 0)
#define runs(p) (!dead[p] && !hung[p])
#define path(p) (pair[p] > 0 || (pair[1 - (p)] > 0 && pair[2] > 0 && runs(1 - (p))))
#define linked(p) (pair[p] == 2)

/* Node 2 may route, as far as this leader's node is concerned. */
#ifdef ROUTES_LACKING
#define complete(p) true
#else
#ifdef SUSPECT_LACKING
#define complete(p) (!alive[p] || !lacks[p])
#else
#define complete(p) (!lacks[p])
#endif
#endif
#ifdef KNOWN_ONLY
#define awaits(p) (gone[p] && leader == p)
#else
#define awaits(p) gone[p]
#endif
#define passes(p) (!awaits(p) && complete(p) && (!alive[p] || hold[p] > 0))
/* Whoever answered it on another side: not counted as together while that one does not run; to the next leader. */
#define current (elected -> 1 : 0)
#define isApart(p) (!path(p) || (apart && who == p && !runs(p)))
#define exempt (apart && (!path(who) || together[who] < TOGETHER) && !(leader == current && current != who))

/* Once the subscription is known nothing is left to be missed. */
inline finish() {
  known = true; pair[0] = 0; pair[1] = 0; pair[2] = 0;
  hung[0] = 0; hung[1] = 0; hung[2] = 0; dead[0] = 0; dead[1] = 0;
  faults = 0; committed = 0; elected = 0; deposed = 0; lost = 0; answered = 0; apart = 0; who = 0; leader = 0;
  drifted = 0; forget(0); forget(1)
}
inline forget(p) {
  alive[p] = 0; together[p] = 0; own[p] = 0; lane[p] = 0; lacks[p] = 0; asked[p] = 0;
  pend[p] = 0; after[p] = 0; hold[p] = 0;
  granted[p] = 0; gone[p] = 0
}

/* Ticks of the clocks of a leader's node and of node 2. */
inline passLeader(p) { down(granted[p]) }
inline passPublisher(p) {
#ifndef KEEP_GRANT
  down(hold[p]);
#endif
  down(pend[p]);
  if
  :: pend[p] == 0 -> after[p] = 0
  :: else
  fi
}

#define isWrong(p) (!alive[p] && path(p) && runs(p) && !hung[Q])
inline settle(p) {
  if
  :: isApart(p) && !(answered && who != p) -> together[p] = 0
  :: !isApart(p) && together[p] < TOGETHER -> together[p] = TOGETHER
  :: else
  fi;
  if
  :: answered && who == p && !isApart(p) && together[p] == TOGETHER -> apart = false
  :: else
  fi
}
inline tick() {
  d_step {
    !isWrong(0) && !isWrong(1) ->
      passLeader(0); passLeader(1); passPublisher(0); passPublisher(1);
      settle(0); settle(1)
  }
}
#ifdef FAST_CLOCK
#define mayDrift true
#else
#define mayDrift !drifted
#endif
/* A leader's clock is fast; that of node 2 being fast only ends grants sooner. */
inline gainLeader(p) { d_step { mayDrift && !answered && granted[p] > 0 -> drifted = true; passLeader(p) } }

inline look() {
  if
  :: isApart(0) && !(answered && who == 1) -> together[0] = 0
  :: else
  fi;
  if
  :: isApart(1) && !(answered && who == 0) -> together[1] = 0
  :: else
  fi
}

/* ---- faults ---- */
inline hang(i) {
  d_step { faults < FAULTS && !hung[i] -> faults++; hung[i] = true; look() }
}
inline die(p) { d_step { faults < FAULTS && !dead[0] && !dead[1] -> faults++; dead[p] = true; hung[p] = false;
      asked[p] = 0; granted[p] = 0; look() } }
inline wakeLeader(p) {
  d_step {
    hung[p] ->
      hung[p] = false;
#ifndef WOKEN_ANSWERS
      granted[p] = (answered -> 0 : GRANT_OVER)
#endif
  }
}
inline wakePublisher() {
  d_step {
    hung[Q] ->
      hung[Q] = false; hold[0] = 0; hold[1] = 0;
#ifndef WOKEN_ROUTES
      gone[0] = gone[0] || !alive[0]; gone[1] = gone[1] || !alive[1]
#endif
  }
}
inline lose(p) {
  d_step {
    linked(p) && faults < FAULTS ->
      faults++; pair[p] = 1; lane[p] = 0; pend[p] = 0; after[p] = 0
  }
}
inline cut(i) { d_step { pair[i] == 1 && faults < FAULTS -> faults++; pair[i] = 0; look() } }
inline heal(i) { d_step { pair[i] == 0 -> pair[i] = 1 } }
#define leads(p) ((p) == 0 -> !deposed : elected)
inline connect(p) {
  d_step {
    pair[p] == 1 && runs(p) && !hung[Q] ->
      pair[p] = 2;
#ifdef RELINK_FORGETS
      lacks[p] = false;
#endif
#ifndef DEPOSED_GRANTS
      /* It says when it has lost its lead. */
      gone[p] = gone[p] || (hold[p] == 0 && p == 0 && lost);
#endif
      lane[p] = (leads(p) -> (own[p] -> NEWER : VIEW) : 0) + (asked[p] == 1 -> BARRIER : 0)
  }
}

/* ---- membership ---- */
inline suspect(p) {
  d_step {
    alive[p] && !(path(p) && runs(p)) ->
      alive[p] = false;
#ifndef NO_SUCCESSOR
      gone[p] = gone[p] || !hung[Q] && (hold[p] == 0 || lacks[p])
#endif
  }
}
inline refute(p) { d_step { !alive[p] && path(p) && runs(p) -> alive[p] = true } }

/* ---- the shard ---- */
inline commit(p) {
  d_step {
    !committed && runs(p) && (elected -> p == 1 : p == 0) ->
      committed = true; own[p] = true; asked[p] = 1;
      lane[p] = (linked(p) -> lane[p] + ROUTE + BARRIER : 0)
  }
}
inline elect() {
  d_step {
    !elected && runs(1) && ((pair[2] > 0 && runs(0)) || (linked(1) && !hung[Q])) ->
      elected = true; own[1] = committed; asked[1] = own[1] && !answered;
      lane[1] = (linked(1) -> (own[1] -> NEWER + (answered -> 0 : BARRIER) : VIEW) : 0)
  }
}
inline depose() { d_step { elected && !deposed && runs(0) -> deposed = true; lost = true } }
#ifdef EARLY_SUBACK
#define reached(p) true
#else
#ifdef SKIP_DOWN
#define reached(p) (asked[p] == 2 || granted[p] == 0 || !linked(p))
#else
#define reached(p) (asked[p] == 2 || granted[p] == 0)
#endif
#endif
#ifdef DEPOSED_ANSWERS
#define mayAnswer(p) true
#else
#define mayAnswer(p) leads(p)
#endif
/* What only the answer needs. */
inline over(p) {
  asked[p] = 0; granted[p] = 0;
  lane[p] = lane[p] & (VIEW | NEWER | ROUTE)
}
inline answer(p) {
  d_step {
    !answered && asked[p] > 0 && runs(p) && reached(p) && mayAnswer(p) ->
      answered = true; who = p; apart = !path(p) || together[p] < TOGETHER;
      over(0); over(1); drifted = true; together[1 - p] = TOGETHER
  }
}

/* ---- what node 2 reads ---- */
/* A barrier is acknowledged with what comes before it, which is the soonest; not while routes are lacking. */
inline acknowledge(p) {
  if
  :: asked[p] == 1 && !lacks[p] -> asked[p] = 2
  :: else
  fi
}
inline read(p) {
  d_step {
    linked(p) && !hung[Q] && lane[p] > 0 ->
      if
      :: (lane[p] & (VIEW | NEWER)) && p >= leader ->
           leader = p;
           if
           :: lane[p] & NEWER -> lacks[p] = true
           :: else
           fi
      :: (lane[p] & ROUTE) && !(lane[p] & VIEW) && leader == p && !lacks[p] -> finish()
      :: else
      fi;
      if
      :: !known && (lane[p] & VIEW) -> lane[p] = lane[p] - VIEW
      :: !known && !(lane[p] & VIEW) ->
           if
           :: lane[p] & BARRIER -> acknowledge(p)
           :: else
           fi;
           lane[p] = 0
      :: else
      fi;
      after[p] = after[p] & lane[p]
  }
}
inline whole(p) {
  d_step {
    lacks[p] && linked(p) && !hung[Q] && runs(p) ->
      lacks[p] = false;
      if
      :: leader == p -> finish()
      :: else -> acknowledge(p)
      fi
  }
}

/* ---- grants ---- */
/* The answer comes no sooner than the request: counted as if at once, which is less for the giver. */
inline grant(p) {
  d_step {
    pend[p] == 0 && linked(p) && runs(p) && !hung[Q] ->
      pend[p] = GRANT; granted[p] = (answered -> 0 : GRANT_OVER);
      after[p] = lane[p] & (VIEW | NEWER | ROUTE)
  }
}
inline take(p) {
  d_step {
#ifdef OVERTAKES
    pend[p] > 0 && !hung[Q] ->
#else
    pend[p] > 0 && !hung[Q] && after[p] == 0 ->
#endif
      if
      :: !lacks[p] && hold[p] < pend[p] ->
           hold[p] = pend[p];
           lost = lost && p != 0
      :: else
      fi;
      pend[p] = 0; after[p] = 0
  }
}
/* The wait for the next leader ends with it, or after its time; by then the leader is known if there is one. */
inline expire(p) {
#ifdef LATE_SUCCESSOR
  d_step { gone[p] -> gone[p] = false }
#else
  d_step {
    gone[p] && !isWrong(p) && leader == current && !dead[current] && (p != current || (hold[p] > 0 && !lacks[p])) ->
      gone[p] = false
  }
#endif
}
inline publish() {
  d_step { answered && !hung[Q] && passes(0) && passes(1) && !exempt -> assert(false) }
}

active proctype Shard() {
  d_step { pair[2] = 1 }
end:
  do
  :: known -> break
  :: else ->
  if
  :: publish()
  :: tick()
  :: wakePublisher()
  :: hang(2)
  :: cut(2)
  :: heal(2)
  :: elect()
  :: depose()
#define node(p) \
  :: gainLeader(p) :: hang(p) :: die(p) :: wakeLeader(p) :: lose(p) :: cut(p) :: heal(p) :: connect(p) \
  :: suspect(p) :: refute(p) :: commit(p) :: answer(p) \
  :: read(p) :: whole(p) :: grant(p) :: take(p) :: expire(p)
  node(0)
  node(1)
  fi
  od
}
