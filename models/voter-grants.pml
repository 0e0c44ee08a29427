/*
 * Route grants by voters (after Moraru et al., Paxos Quorum Leases, SoCC 2014): the rule that was not taken.
 *
 * Three voters and node 3, the holder. Each voter grants to the holder for itself; the holder holds while
 * grants of a majority run. To answer a subscription, a leader tells voters that it is committed; each answers
 * how long its grant may still run, and grants to a holder from then on only for routes that have it. The
 * leader answers the client once a majority of voters has said so, and the holder has the route or all those
 * grants have run out. Leaders need no lease, and a new one waits for nothing that an old one gave.
 *
 * Time goes as in route-grants.pml: in ticks, one clock off by one tick during the longest wait.
 *
 * Holds: while the holder holds, its routes have every answered subscription.
 *
 * Negative controls, each drops one rule and must fail:
 *   ONE_VOTER     the grant of one voter is enough
 *   NO_REMAINDER  the leader does not wait for grants that voters gave before they heard of the subscription
 *   FAST_CLOCK    one clock is off by more
 */
#define VOTERS 3
#define LEADERS 2
#define SUBS 1
#define GRANT 1
#define GRANT_OVER 2

/* By voter: which leader it has promised, the version it has heard of, its grant to the holder. */
byte promised[VOTERS];
byte heard[VOTERS];
byte granted[VOTERS];
/* By voter: its grant as the holder counts it. */
byte hold[VOTERS];
/* The holder's request under way, one at a time: of which voter, 1 asked or 2 answered, its time, the version
 * of the answer. */
byte whom, stage, pend, after;
byte known;
/* By leader: the version to be answered, the voters that have said what they granted, how long that may run. */
byte own[LEADERS], told[LEADERS], left[LEADERS];
byte committed, answered;
bool drifted;

#define isIn(node, set) (((set) >> (node)) & 1)
#define majority(set) ((set) == 3 || (set) >= 5)
#define down(x) x = ((x) > 0 -> (x) - 1 : 0)
#define raise(x, y) x = ((x) < (y) -> (y) : (x))
#ifdef ONE_VOTER
#define holds (hold[0] + hold[1] + hold[2] > 0)
#else
#define holds ((hold[0] > 0) + (hold[1] > 0) + (hold[2] > 0) >= 2)
#endif
#define check() assert(!holds || known >= answered)

inline drop() { whom = 0; stage = 0; pend = 0; after = 0 }

/* A tick of the holder's clock; a request ends with its time. */
inline holderTicks() {
  down(hold[0]); down(hold[1]); down(hold[2]); down(pend);
  if
  :: pend == 0 -> drop()
  :: else
  fi
}

inline voterTicks() { down(granted[0]); down(granted[1]); down(granted[2]) }
inline leaderTicks() { down(left[0]); down(left[1]) }

#ifdef FAST_CLOCK
#define mayDrift true
#else
#define mayDrift !drifted
#endif

inline request(w) {
  d_step { stage == 0 && known < SUBS -> whom = w; stage = 1; pend = GRANT }
}

inline grant(w) {
  d_step { stage == 1 && whom == w -> stage = 2; granted[w] = GRANT_OVER; after = heard[w] }
}

inline take(w) {
  d_step {
    stage == 2 && whom == w && known >= after ->
      raise(hold[w], pend); drop();
      check()
  }
}

inline promise(w) {
  d_step { promised[w] == 0 -> promised[w] = 1 }
}

/* A leader commits while a majority has promised nobody after it. */
inline commit(l) {
  d_step {
    committed < SUBS && (promised[0] == l) + (promised[1] == l) + (promised[2] == l) >= 2 ->
      committed++; own[l] = committed; told[l] = 0; left[l] = 0
  }
}

/* Leader 1 follows leader 0: whatever that one had committed, it answers again. */
inline follow() {
  d_step {
    own[1] < committed && promised[0] + promised[1] + promised[2] >= 2 -> own[1] = committed
  }
}

inline tell(l, w) {
  d_step {
    own[l] > 0 && !isIn(w, told[l]) ->
      told[l] = told[l] | (1 << w);
      raise(heard[w], own[l]);
#ifndef NO_REMAINDER
      raise(left[l], granted[w])
#endif
  }
}

inline forget(w) { hold[w] = 0; granted[w] = 0; heard[w] = SUBS }

inline learn() {
  d_step {
    known < committed ->
      known = committed;
      if
      :: known == SUBS ->
           /* Nothing is left to be missed. */
           drop(); forget(0); forget(1); forget(2); drifted = true; left[0] = 0; left[1] = 0;
           promised[0] = 0; promised[1] = 0; promised[2] = 0; told[0] = 7; told[1] = 7;
           own[0] = SUBS; own[1] = SUBS; answered = SUBS
      :: else
      fi
  }
}

inline answer(l) {
  d_step {
    own[l] > answered && majority(told[l]) && (known >= own[l] || left[l] == 0) -> answered = own[l]; check()
  }
}

active proctype Shard() {
end:
  do
  :: d_step { true -> holderTicks(); voterTicks(); leaderTicks() }
  :: d_step { mayDrift -> drifted = true; voterTicks() }
  :: d_step { mayDrift -> drifted = true; leaderTicks() }
  :: d_step { mayDrift -> drifted = true; voterTicks(); leaderTicks() }
#define voter(w) :: request(w) :: grant(w) :: take(w) :: promise(w) :: tell(0, w) :: tell(1, w)
  voter(0)
  voter(1)
  voter(2)
  :: commit(0)
  :: commit(1)
  :: follow()
  :: learn()
  :: answer(0)
  :: answer(1)
  od
}
