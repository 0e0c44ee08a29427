/*
 * How a shard forms views and commits: packages/broker/src/shard (formation.ts, voting.ts, appending.ts).
 *
 * NODES nodes, of which 0, 1 and 2 are the voters. View 1 has all three active and is recorded by them. At
 * least two are active in every view (minCopies of three copies).
 * A candidate with promises of a majority of voters forms the next view. Its starting log is the longest
 * among the promisers whose own recorded view is the highest that any promiser recorded and who are
 * active in it; without such a promiser there is no election. The record and the starting log go to
 * every new active member first, then the record to the other voters. The leader appends, copies; an entry
 * is committed when all active members have it and they and a majority of voters have the record.
 *
 * Everything is asynchronous: any step of any node may happen at any time or never, so a crash is a node
 * that takes no step for a while, and a message may be lost or late. What a node knows is on disk.
 *
 * Holds: the starting log of every view contains every committed entry; an index is committed once; no
 * state is a dead end: any majority of voters (with node 3: all nodes together) can form a view.
 *
 * With ROT the log of one node may become unreadable at any time: it appends, stores and gives nothing until a
 * view installs a whole log on it. An election without a log to take leaves out the promisers that recorded the
 * highest view, as if they had not answered: what is left must again be a majority. All nodes together can
 * always form a view.
 *
 * Negative controls, each drops one rule and must fail:
 *   PICK_LONGEST    the longest log of any promiser
 *   PICK_ANY_VIEW   the longest log of a promiser that is active in its own recorded view, not the highest
 *   PICK_UNRECORDED  the longest log of a promiser that is active in the highest view, recorded there or not
 *   COMMIT_MOST     an entry is committed when most of the active members have it
 *   EARLY_INSTALLED  a record counts before it is on disk, and a power cut may take it back
 *   ACTIVE_ONLY     commit needs the record on the active members only, not on a majority of voters
 *   RECORD_UNORDERED  other voters may record a view before all its active members have
 *   NO_PROMISE      a node goes on storing entries of its view after it promised a higher one
 *   ONE_PROMISE     one promise is enough
 *   FALL_BACK       what is left need not be a majority, if a member of the view left out has not recorded it
 */
#ifndef NODES
#define NODES 3
#endif
#ifndef VIEWS
#define VIEWS 4
#endif
#ifndef ENTRIES
#define ENTRIES 2
#endif
#define VOTERS 3

/* By node: the view promised, the view recorded; its log, entries numbered from 1, 0 for none. */
byte promised[NODES];
byte recorded[NODES];
byte log[NODES * ENTRIES];
/* By view, from 1: leader, active members as bits, starting log. */
byte leader[VIEWS + 1];
byte activeIn[VIEWS + 1];
byte start[(VIEWS + 1) * ENTRIES];
byte views = 1;
/* Entries appended so far, each number used once; what is committed, by index. */
byte appended = 0;
byte committed[ENTRIES];

#ifdef FALL_BACK
#define ROT
#endif
#ifdef ROT
/* The node whose log cannot be read, plus 1; 0 for none so far, NODES + 1 when it has been made anew. */
byte rotten;
#define isRotten(node) (rotten == (node) + 1)
#else
#define isRotten(node) false
#endif

#ifdef EARLY_INSTALLED
/* By node: its last record may still be lost; what it had recorded before, and its log. */
bool undoable[NODES];
byte before[NODES];
byte logBefore[NODES * ENTRIES];
#define settle(node) undoable[node] = false
#else
#define settle(node) skip
#endif

/* The candidate's choice, within one step. */
byte promisers, members, first;
/* Scratch, within one step. */
hidden byte a, b, k, n, best, last;
hidden byte ok;

#define isIn(node, set) (((set) >> (node)) & 1)
#define entry(node, index) log[(node) * ENTRIES + (index)]

/* n = entries in the log of `node`. */
inline lengthOf(node) {
  n = 0;
  do
  :: n < ENTRIES && entry(node, n) != 0 -> n++
  :: else -> break
  od
}

/* ok = every active member of `v` has recorded it, or a later one if `later`. */
inline activeHave(v, later) {
  ok = true;
  a = 0;
  do
  :: a < NODES ->
       if
       :: isIn(a, activeIn[v]) && recorded[a] != v && !(later && recorded[a] > v) -> ok = false
       :: else
       fi;
       a++
  :: else -> break
  od
}

/* ok = ok && a majority of voters has recorded `v`. */
inline votersHave(v) {
  n = 0;
  a = 0;
  do
  :: a < VOTERS ->
       if
       :: recorded[a] == v -> n++
       :: else
       fi;
       a++
  :: else -> break
  od;
  ok = ok && n * 2 > VOTERS
}

/* Commits what may be committed in view `v`, from the front. */
inline commitIn(v) {
  activeHave(v, false);
#ifndef ACTIVE_ONLY
  votersHave(v);
#endif
  k = 0;
  do
  :: ok && k < ENTRIES ->
       best = entry(leader[v], k);
#ifdef COMMIT_MOST
       n = 0;
       last = 0;
#endif
       a = 0;
       do
       :: a < NODES ->
            if
#ifdef COMMIT_MOST
            :: isIn(a, activeIn[v]) -> last++; n = n + (entry(a, k) == best)
#else
            :: isIn(a, activeIn[v]) && entry(a, k) != best -> ok = false
#endif
            :: else
            fi;
            a++
       :: else -> break
       od;
#ifdef COMMIT_MOST
       ok = ok && n * 2 > last;
       last = 0;
#endif
       ok = ok && best != 0;
       if
       :: ok ->
            assert(committed[k] == 0 || committed[k] == best);
            committed[k] = best;
            k++
       :: else
       fi
  :: else -> break
  od
}

/* What holds after a step, whoever took it, may now be committed. */
inline commitAll() {
  b = 1;
  do
  :: b <= views -> commitIn(b); b++
  :: else -> break
  od;
  a = 0; b = 0; k = 0; n = 0; best = 0; ok = false
}

inline append(i) {
  d_step {
    appended < ENTRIES && !isRotten(i) && recorded[i] != 0 && leader[recorded[i]] == i && promised[i] == recorded[i] ->
      lengthOf(i);
      last = n;
      activeHave(recorded[i], false);
#ifndef ACTIVE_ONLY
      votersHave(recorded[i]);
#endif
      if
      :: ok && last < ENTRIES ->
           appended++;
           entry(i, last) = appended;
           settle(i);
           commitAll()
      :: else
      fi;
      a = 0; n = 0; last = 0; ok = false
  }
}

#ifdef NO_PROMISE
#define stillIn(node, v) (recorded[node] == v)
#else
#define stillIn(node, v) (recorded[node] == v && promised[node] == v)
#endif

/* The leader's next entry reaches one active member; it stores it behind the one before. */
inline copy(i, to) {
  d_step {
    i != to && !isRotten(i) && !isRotten(to) && recorded[i] != 0 && leader[recorded[i]] == i && isIn(to, activeIn[recorded[i]]) &&
    stillIn(i, recorded[i]) && stillIn(to, recorded[i]) ->
      lengthOf(to);
      if
      :: n < ENTRIES && entry(i, n) != 0 ->
           entry(to, n) = entry(i, n);
           settle(to);
           commitAll()
      :: else
      fi;
      n = 0
  }
}

/* Whose log may become the starting log. */
#ifdef PICK_LONGEST
#define mayGiveLog(node) isIn(node, promisers)
#else
#ifdef PICK_ANY_VIEW
#define mayGiveLog(node) (isIn(node, promisers) && recorded[node] != 0 && isIn(node, activeIn[recorded[node]]))
#else
#ifdef PICK_UNRECORDED
#define mayGiveLog(node) (isIn(node, promisers) && isIn(node, activeIn[last]))
#else
#define mayGiveLog(node) (isIn(node, promisers) && recorded[node] == last && isIn(node, activeIn[last]) && !isRotten(node))
#endif
#endif
#endif

/* last = the highest view that any promiser recorded; ok = one of them may give its log. */
inline highest() {
  last = 0;
  a = 0;
  do
  :: a < NODES ->
       if
       :: isIn(a, promisers) && recorded[a] > last -> last = recorded[a]
       :: else
       fi;
       a++
  :: else -> break
  od;
  ok = false;
  a = 0;
  do
  :: a < NODES -> ok = ok || mayGiveLog(a); a++
  :: else -> break
  od;
  a = 0
}

#ifdef ROT
/* As `highest`, without those that recorded the highest view if none of them may give its log. */
inline leaveOut() {
  highest();
  if
  :: !ok ->
#ifdef FALL_BACK
       a = 0;
       do
       :: a < NODES -> ok = ok || (isIn(a, promisers) && isIn(a, activeIn[last]) && recorded[a] < last); a++
       :: else -> break
       od;
       n = ok * VOTERS;
#endif
       a = 0;
       do
       :: a < NODES ->
            if
            :: isIn(a, promisers) && recorded[a] == last -> promisers = promisers & ~(1 << a)
            :: else
            fi;
            a++
       :: else -> break
       od;
#ifndef FALL_BACK
       n = 0;
       a = 0;
       do
       :: a < VOTERS -> n = n + isIn(a, promisers); a++
       :: else -> break
       od;
#endif
       if
       :: n * 2 > VOTERS -> highest()
       :: else -> promisers = 0; ok = false
       fi
  :: else
  fi;
  a = 0; n = 0
}
#else
#define leaveOut highest
#endif

/* No state is a dead end: the nodes in `set` together can form a view. */
inline assertNotStuck(set) {
  promisers = set;
  leaveOut();
  assert(ok);
  promisers = 0;
  a = 0; last = 0; ok = false
}

/* The record of view `v` reaches node `i`, with the starting log if it is active in it. */
inline install(i, v) {
  d_step {
    v <= views && recorded[i] < v && promised[i] <= v ->
      activeHave(v, false);
#ifdef RECORD_UNORDERED
      ok = true;
#endif
      if
      :: ok || isIn(i, activeIn[v]) ->
           promised[i] = v;
#ifdef EARLY_INSTALLED
           undoable[i] = true;
           before[i] = recorded[i];
           k = 0;
           do
           :: k < ENTRIES -> logBefore[i * ENTRIES + k] = entry(i, k); k++
           :: else -> break
           od;
#endif
           recorded[i] = v;
#ifdef ROT
           if
           :: isRotten(i) && isIn(i, activeIn[v]) -> rotten = NODES + 1
           :: else
           fi;
#endif
           k = 0;
           do
           :: k < ENTRIES && isIn(i, activeIn[v]) -> entry(i, k) = start[v * ENTRIES + k]; k++
           :: else -> break
           od;
           commitAll();
#ifdef ROT
           assertNotStuck(7)
#else
#if NODES == 3
           assertNotStuck(3);
           assertNotStuck(5);
           assertNotStuck(6)
#else
           assertNotStuck(15)
#endif
#endif
      :: else
      fi;
      a = 0; k = 0; ok = false
  }
}

/*
 * A candidate with the promises of the nodes in `promisers` forms the next view, with `members` of them
 * active, led by `first`.
 */
inline elect() {
  d_step {
    leaveOut();
    /* best = 1 + the promiser whose log is taken, k = that log's length. */
    best = 0;
    k = 0;
    b = 0;
    do
    :: b < NODES ->
         lengthOf(b);
         if
         :: mayGiveLog(b) && (best == 0 || n > k) -> best = b + 1; k = n
         :: else
         fi;
         b++
    :: else -> break
    od;
    if
    :: best != 0 ->
         views++;
         leader[views] = first;
         activeIn[views] = members;
         k = 0;
         do
         :: k < ENTRIES ->
              start[views * ENTRIES + k] = entry(best - 1, k);
              assert(committed[k] == 0 || committed[k] == entry(best - 1, k));
              k++
         :: else -> break
         od;
         a = 0;
         do
         :: a < NODES ->
              if
              :: isIn(a, promisers) -> promised[a] = views; settle(a)
              :: else
              fi;
              a++
         :: else -> break
         od
    :: else
    fi;
    promisers = 0; members = 0; first = 0; ok = false
  }
}

#ifdef EARLY_INSTALLED
/* Power is cut at node `i` before its last record was on disk; the promise before it was. */
inline forget(i) {
  d_step {
    undoable[i] ->
      undoable[i] = false;
      recorded[i] = before[i];
      k = 0;
      do
      :: k < ENTRIES -> entry(i, k) = logBefore[i * ENTRIES + k]; k++
      :: else -> break
      od;
      k = 0
  }
}
#endif

#define choose(P, A, L) promisers = P; members = A; first = L

#define stepsOf(i) \
  :: append(i) \
  :: copy(i, 0) \
  :: copy(i, 1) \
  :: copy(i, 2) \
  :: install(i, 2) \
  :: install(i, 3) \
  :: install(i, 4)

active proctype Shard() {
  /* View 1: recorded by all voters, all active, empty. */
  d_step {
    leader[1] = 0;
    activeIn[1] = 7;
    a = 0;
    do
    :: a < VOTERS -> promised[a] = 1; recorded[a] = 1; a++
    :: else -> break
    od
  }
end:
  do
  stepsOf(0)
  stepsOf(1)
  stepsOf(2)
#ifdef EARLY_INSTALLED
  :: forget(0)
  :: forget(1)
  :: forget(2)
#endif
#if NODES > 3
  stepsOf(3)
  :: copy(0, 3)
  :: copy(1, 3)
  :: copy(2, 3)
#endif
#ifdef ROT
  :: d_step { rotten == 0 -> rotten = 1; assertNotStuck(7) }
  :: d_step { rotten == 0 -> rotten = 2; assertNotStuck(7) }
  :: d_step { rotten == 0 -> rotten = 3; assertNotStuck(7) }
#endif
  :: atomic {
       views < VIEWS ->
         if
#ifdef ONE_PROMISE
         :: choose(1, 1, 0)
         :: choose(2, 2, 1)
         :: choose(4, 4, 2)
#endif
         :: choose(3, 3, 0)
         :: choose(3, 3, 1)
         :: choose(5, 5, 0)
         :: choose(5, 5, 2)
         :: choose(6, 6, 1)
         :: choose(6, 6, 2)
         :: choose(7, 3, 0)
         :: choose(7, 3, 1)
         :: choose(7, 5, 0)
         :: choose(7, 5, 2)
         :: choose(7, 6, 1)
         :: choose(7, 6, 2)
         :: choose(7, 7, 0)
         :: choose(7, 7, 1)
         :: choose(7, 7, 2)
#if NODES > 3
         /* With node 3, which has no vote, among the promisers. */
         :: choose(11, 9, 0)
         :: choose(11, 10, 1)
         :: choose(11, 11, 0)
         :: choose(11, 11, 1)
         :: choose(13, 9, 0)
         :: choose(13, 12, 2)
         :: choose(13, 13, 0)
         :: choose(13, 13, 2)
         :: choose(14, 10, 1)
         :: choose(14, 12, 2)
         :: choose(14, 14, 1)
         :: choose(14, 14, 2)
         :: choose(15, 9, 0)
         :: choose(15, 10, 1)
         :: choose(15, 12, 2)
         :: choose(15, 15, 0)
         :: choose(15, 15, 1)
         :: choose(15, 15, 2)
#endif
         fi;
         elect()
     }
  od
}
