/*
 * How a shard changes its voters: by majorities of the old and the new voters (docs/adr/0008).
 *
 * As view-formation.pml, but every view names its voters, and the voters before them. A view is complete
 * once all its active members and a majority of either set have its record; a member that learns so
 * remembers it. A candidate takes the highest view that any promiser recorded. It needs promises of
 * majorities of that view's voters, of the voters before them unless a promiser knows that the view is
 * complete, and of the new voters. Only from a view known to be complete may the voters change: until
 * then nobody can tell which of the two sets is in force, and the next view keeps both.
 *
 * View 1 has node 0 as its only voter and active member, as a cluster is born.
 *
 * Holds: the starting log of every view contains every committed entry; an index is committed once; all
 * nodes together can always form a view.
 *
 * With WITHDRAW, as the code is built: one node votes, a view that changes that is decided by the old and the new
 * voter, and only its own leader, which knows it to be complete, makes the new one the only voter. View 1 is such
 * a view, from node 0 to node 1, which node 0 leads and has recorded, and node 1 may lose its disk at any time. With
 * the promises of the view's leader and of the old voter, whose highest recorded view it is, it may be withdrawn:
 * the next view has the old voter alone. For a later view that is complete is recorded by the old voter, and a view
 * that makes the new voter the only one comes from the leader, which records it before anyone else does. Holds,
 * too: as long as these two are left, and the view is the highest recorded, a view can be formed.
 *
 * Negative controls, each drops one rule and must fail:
 *   CHANGE_ANY_TIME  the voters may change from a view not known to be complete, whose voters alone promise
 *   NEW_ONLY         the record on a majority of the new voters is enough
 *   OLD_ONLY         promises and records of majorities of the old voters are enough
 *   WITHDRAW_NEVER   no view is withdrawn
 *   WITHDRAW_ANY     a view is withdrawn by its old voter, without a word of its leader
 *   WITHDRAW_UNORDERED  a view that makes the new voter the only one may be recorded by others before its leader
 */
#define NODES 3
#ifndef VIEWS
#define VIEWS 4
#endif
#ifndef ENTRIES
#define ENTRIES 1
#endif

/* By node: the view promised, the view recorded, the view known to be complete; its log, as entries
 * numbered from 1, 0 for none. */
byte promised[NODES];
byte recorded[NODES];
byte complete[NODES];
byte log[NODES * ENTRIES];
/* By view, from 1: leader, active members, voters and voters before them as bits, starting log. */
byte leader[VIEWS + 1];
byte activeIn[VIEWS + 1];
byte votersIn[VIEWS + 1];
byte votersBefore[VIEWS + 1];
byte start[(VIEWS + 1) * ENTRIES];
byte views = 1;
/* Entries appended so far, each number used once; what is committed, by index. */
byte appended = 0;
byte committed[ENTRIES];

#if defined(WITHDRAW_NEVER) || defined(WITHDRAW_ANY) || defined(WITHDRAW_UNORDERED)
#define WITHDRAW
#endif
#ifdef WITHDRAW
/* Node 1 has lost its disk, and takes no step any more: what starts there is another node. */
bool lost;
#define isLost(node) (lost && (node) == 1)
#else
#define isLost(node) false
#endif

/* The candidate's choice, within one step. */
byte promisers, members, first, newVoters;
/* Scratch, within one step. */
hidden byte a, b, k, n, best, last;
hidden byte ok;

/* Voters are one node or all three. */
#define bits(set) (((set) & 1) + (((set) >> 1) & 1) + (((set) >> 2) & 1))
#define majority(nodes, voters) (2 * bits((nodes) & (voters)) > bits(voters))

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

/* ok = ok && majorities of both sets of voters have recorded `v`. */
inline votersHave(v) {
  n = 0;
  a = 0;
  do
  :: a < NODES ->
       if
       :: recorded[a] == v -> n = n | (1 << a)
       :: else
       fi;
       a++
  :: else -> break
  od;
#ifndef NEW_ONLY
  ok = ok && majority(n, votersBefore[v]);
#endif
#ifndef OLD_ONLY
  ok = ok && majority(n, votersIn[v])
#endif
}

/* Commits what may be committed in view `v`, from the front. */
inline commitIn(v) {
  activeHave(v, false);
  votersHave(v);
  k = 0;
  do
  :: ok && k < ENTRIES ->
       best = entry(leader[v], k);
       a = 0;
       do
       :: a < NODES ->
            if
            :: isIn(a, activeIn[v]) && entry(a, k) != best -> ok = false
            :: else
            fi;
            a++
       :: else -> break
       od;
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
    appended < ENTRIES && !isLost(i) && recorded[i] != 0 && leader[recorded[i]] == i && promised[i] == recorded[i] ->
      lengthOf(i);
      last = n;
      activeHave(recorded[i], false);
      votersHave(recorded[i]);
      if
      :: ok && last < ENTRIES ->
           appended++;
           entry(i, last) = appended;
           commitAll()
      :: else
      fi;
      a = 0; n = 0; last = 0; ok = false
  }
}

#define stillIn(node, v) (recorded[node] == v && promised[node] == v)

/* The leader's next entry reaches one active member; it stores it behind the one before. */
inline copy(i, to) {
  d_step {
    i != to && !isLost(i) && !isLost(to) && recorded[i] != 0 && leader[recorded[i]] == i && isIn(to, activeIn[recorded[i]]) &&
    stillIn(i, recorded[i]) && stillIn(to, recorded[i]) ->
      lengthOf(to);
      if
      :: n < ENTRIES && entry(i, n) != 0 ->
           entry(to, n) = entry(i, n);
           commitAll()
      :: else
      fi;
      n = 0
  }
}

/* Whose log may become the starting log. */
#define mayGiveLog(node) (isIn(node, promisers) && recorded[node] == last && isIn(node, activeIn[last]))

#ifdef WITHDRAW
/* Whether the change of voters in view `v` may be taken back with the promises of `nodes`. */
#ifdef WITHDRAW_NEVER
#define mayWithdraw(nodes, v) false
#else
#ifdef WITHDRAW_ANY
#define leaderKnows(nodes, v) true
#else
#define leaderKnows(nodes, v) (isIn(leader[v], nodes) && recorded[leader[v]] == (v))
#endif
#define mayWithdraw(nodes, v) (leaderKnows(nodes, v) && majority(nodes, votersBefore[v]))
#endif

/* By view: it makes the new voters of the view before the only ones. */
bool settles[VIEWS + 1];
#ifdef WITHDRAW_UNORDERED
#define inOrder(node, v) true
#else
#define inOrder(node, v) (!settles[v] || (node) == leader[v] || recorded[leader[v]] == (v))
#endif

/* After the loss: if the highest view recorded gives away a vote that is left, and its leader is left, what is left
 * can form a view. */
inline assertNotStuck() {
  last = (recorded[0] > recorded[2] -> recorded[0] : recorded[2]);
  if
  :: lost && leader[last] != 1 && votersBefore[last] != 2 && recorded[leader[last]] == last ->
       assert((majority(5, votersIn[last]) && majority(5, votersBefore[last])) || mayWithdraw(5, last))
  :: else
  fi;
  last = 0
}
#else
#define inOrder(node, v) true

/* No state is a dead end: all nodes together can form a view. */
inline assertNotStuck() {
  last = 0;
  a = 0;
  do
  :: a < NODES ->
       if
       :: recorded[a] > last -> last = recorded[a]
       :: else
       fi;
       a++
  :: else -> break
  od;
  promisers = 7;
  assert(mayGiveLog(0) || mayGiveLog(1) || mayGiveLog(2));
  promisers = 0; a = 0; last = 0
}
#endif

/* The record of view `v` reaches node `i`, with the starting log if it is active in it. */
inline install(i, v) {
  d_step {
    v <= views && !isLost(i) && recorded[i] < v && promised[i] <= v && inOrder(i, v) ->
      activeHave(v, false);
      if
      :: ok || isIn(i, activeIn[v]) ->
           promised[i] = v;
           recorded[i] = v;
           k = 0;
           do
           :: k < ENTRIES && isIn(i, activeIn[v]) -> entry(i, k) = start[v * ENTRIES + k]; k++
           :: else -> break
           od;
           commitAll();
           assertNotStuck()
      :: else
      fi;
      a = 0; k = 0; ok = false
  }
}

#ifdef WITHDRAW
#define mayLearn(node) (!isLost(node) && leader[recorded[node]] == (node))
#else
#define mayLearn(node) true
#endif

/* An active member learns that the view it has recorded is complete. */
inline learn(i) {
  d_step {
    complete[i] < recorded[i] && isIn(i, activeIn[recorded[i]]) && mayLearn(i) ->
      activeHave(recorded[i], false);
      votersHave(recorded[i]);
      if
      :: ok -> complete[i] = recorded[i]
      :: else
      fi;
      a = 0; n = 0; ok = false
  }
}

#ifdef WITHDRAW
/* Both sets decide, whatever is known: a view that is settled has the same twice. */
#define mayElect (majority(promisers, votersIn[last]) && majority(promisers, votersBefore[last]))
#define withdraws (!ok && mayWithdraw(promisers, last) && newVoters == votersBefore[last])
#else
#define mayElect (majority(promisers, votersIn[last]) && (ok || majority(promisers, votersBefore[last])))
#define withdraws false
#endif

/* With PAIR node 2 does nothing: that reaches what happens between the other two much sooner. */
#ifdef PAIR
#define takesPart (promisers < 4)
#else
#define takesPart true
#endif

#ifdef OLD_ONLY
#define mayBecome(voters) true
#else
#define mayBecome(voters) majority(promisers, voters)
#endif

/*
 * A candidate with the promises of the nodes in `promisers` forms the next view, with `members` of them
 * active, led by `first`, and `newVoters` as its voters.
 */
inline elect() {
  d_step {
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
    /* ok = is the last view known to be complete? */
    ok = (isIn(0, promisers) && complete[0] == last) || (isIn(1, promisers) && complete[1] == last) ||
         (isIn(2, promisers) && complete[2] == last);
#ifdef CHANGE_ANY_TIME
    ok = true;
#endif
#ifdef WITHDRAW
    /* Only its leader does, and a view that changes the voters is followed by one that settles them. */
    ok = leader[last] == first && complete[first] == last;
    ok = ok && (votersBefore[last] == votersIn[last] || newVoters == votersIn[last]);
#endif
    if
    :: best != 0 && takesPart && !(isLost(1) && isIn(1, promisers)) && mayBecome(newVoters) &&
       (withdraws || (mayElect && (ok || newVoters == votersIn[last]))) ->
         views++;
         votersIn[views] = newVoters;
         votersBefore[views] = (ok -> votersIn[last] : votersBefore[last]);
#ifdef WITHDRAW
         settles[views] = ok && votersBefore[last] != votersIn[last];
#endif
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
              :: isIn(a, promisers) -> promised[a] = views
              :: else
              fi;
              a++
         :: else -> break
         od
    :: else
    fi;
    promisers = 0; members = 0; first = 0; newVoters = 0; ok = false
  }
}

#define choose(P, A, L) promisers = P; members = A; first = L

active proctype Shard() {
  d_step {
    leader[1] = 0;
    activeIn[1] = 1;
    votersIn[1] = 1;
    votersBefore[1] = 1;
    promised[0] = 1;
    recorded[0] = 1
#ifdef WITHDRAW
    ;
    activeIn[1] = 3;
    votersIn[1] = 2;
    promised[1] = 1
#endif
  }
end:
  do
  :: append(0)
  :: learn(0)
  :: copy(0, 1)
  :: copy(0, 2)
#ifdef WITHDRAW
  :: d_step { !lost -> lost = true; assertNotStuck() }
  :: install(1, 1)
#endif
  :: install(0, 2)
  :: install(0, 3)
#if VIEWS > 3
  :: install(0, 4)
#endif
  :: append(1)
  :: learn(1)
  :: copy(1, 0)
  :: copy(1, 2)
  :: install(1, 2)
  :: install(1, 3)
#if VIEWS > 3
  :: install(1, 4)
#endif
  :: append(2)
  :: learn(2)
  :: copy(2, 0)
  :: copy(2, 1)
  :: install(2, 2)
  :: install(2, 3)
#if VIEWS > 3
  :: install(2, 4)
#endif
  :: atomic {
       views < VIEWS ->
         /* A leader votes, so its bit is in the new voters: itself alone, or all. With WITHDRAW one node votes. */
         if
         :: choose(1, 1, 0)
         :: choose(2, 2, 1)
         :: choose(3, 1, 0)
         :: choose(3, 2, 1)
         :: choose(3, 3, 0)
         :: choose(3, 3, 1)
         :: choose(4, 4, 2)
         :: choose(5, 1, 0)
         :: choose(5, 4, 2)
         :: choose(5, 5, 0)
         :: choose(5, 5, 2)
         :: choose(6, 2, 1)
         :: choose(6, 4, 2)
         :: choose(6, 6, 1)
         :: choose(6, 6, 2)
         :: choose(7, 1, 0)
         :: choose(7, 2, 1)
         :: choose(7, 3, 0)
         :: choose(7, 3, 1)
         :: choose(7, 4, 2)
         :: choose(7, 5, 0)
         :: choose(7, 5, 2)
         :: choose(7, 6, 1)
         :: choose(7, 6, 2)
         :: choose(7, 7, 0)
         :: choose(7, 7, 1)
         :: choose(7, 7, 2)
         fi;
#ifdef WITHDRAW
         if
         :: newVoters = 1
         :: newVoters = 2
         :: newVoters = 4
         fi;
#else
         if
         :: newVoters = 1 << first
         :: newVoters = 7
         fi;
#endif
         elect()
     }
  od
}
