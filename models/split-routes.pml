/*
 * What a publish misses in a split: the publisher's node holds no route grant of a shard (route-grants.pml),
 * knows no leader of it, and goes on by the routes that its side has.
 *
 * Three nodes, each of which may lead the shard; node 2 is the publisher's. Every link may be cut and healed at
 * any time: islands, one pair, so that the third node is a bridge. A leader commits a subscription and answers
 * it once every other node has its route or holds no grant; a node gets a grant over a link to the leader, with
 * all its routes, and may lose it at any time. One that holds none and has a publish asks every node to which it has a
 * link for its routes; each answers with the version that it has, and whether it holds a grant, or leads.
 * The publish goes out by the newest version of the answers, once a holder has answered, or all have; a link
 * that breaks owes no answer. A node that holds a grant itself asks nobody.
 *
 * Holds: a publish misses no answered subscription that its node knew of when the publish began, nor one that a
 * node knew of then which it could reach until it went out. If a holder answered, it misses none at all.
 *
 * Negative controls, each drops one rule and must fail:
 *   NO_QUESTION   the node goes on by its own routes
 *   OLD_ANSWER    answers to questions of an earlier publish count
 *   FIRST_ANSWER  the first answer is enough, whether its node holds a grant or not
 */
#define NODES 3
#define PUBLISHER 2
#ifndef SUBS
#define SUBS 2
#endif
#ifndef LEADERS
#define LEADERS 2
#endif

/* By node: the version of its routes, and whether it holds a grant. */
byte known[NODES];
bool holds[NODES];
/* By node: bits of the nodes to which it has a link. */
byte links[NODES];
byte leader, leaders;
/* Subscriptions that are committed, and that are answered. */
byte committed, answered;

/* The publish: answered subscriptions when it began; what each node that it reaches knew of them. */
bool publishing;
byte began;
byte reached[NODES];
/* Answers: of whom, the newest version, and whether a holder was among them. */
byte asked, version;
bool vouched;

#define isIn(node, set) (((set) >> (node)) & 1)
#define linked(i, j) isIn(j, links[i])
#define atMost(x, y) ((x) < (y) -> (x) : (y))

inline connect(i, j) {
  d_step { !linked(i, j) -> links[i] = links[i] | (1 << j); links[j] = links[j] | (1 << i) }
}

inline cut(i, j) {
  d_step {
    linked(i, j) ->
      links[i] = links[i] - (1 << j);
      links[j] = links[j] - (1 << i);
      if
      :: j == PUBLISHER -> reached[i] = 0
      :: else
      fi
  }
}

inline lead(i) {
  d_step { leader != i && leaders < LEADERS -> leaders++; leader = i; known[i] = committed }
}

inline commit() {
  d_step { committed < SUBS -> committed++; known[leader] = committed }
}

inline learn(i) {
  d_step { linked(i, leader) && known[i] < known[leader] -> known[i] = known[leader] }
}

inline take(i) {
  d_step { i != leader && !holds[i] && linked(i, leader) && known[i] == known[leader] -> holds[i] = true }
}

inline lapse(i) {
  d_step { holds[i] -> holds[i] = false }
}

#define passes(i) (i == leader || known[i] == committed || !holds[i])

inline answer() {
  d_step {
    answered < committed && passes(0) && passes(1) && passes(2) -> answered = committed
  }
}

inline begin() {
  d_step {
    !publishing ->
      publishing = true;
      began = answered;
      reached[0] = (linked(0, PUBLISHER) -> atMost(known[0], began) : 0);
      reached[1] = (linked(1, PUBLISHER) -> atMost(known[1], began) : 0);
      reached[2] = atMost(known[2], began)
  }
}

inline ask(q) {
  d_step {
    publishing && linked(q, PUBLISHER) && !isIn(q, asked) ->
      asked = asked | (1 << q);
      version = (version < known[q] -> known[q] : version);
      vouched = vouched || holds[q] || leader == q
  }
}

#define owes(q) (linked(q, PUBLISHER) && !isIn(q, asked))
#ifdef NO_QUESTION
#define mayGoOn true
#else
#ifdef FIRST_ANSWER
#define mayGoOn (asked != 0)
#else
#define mayGoOn (vouched || (!owes(0) && !owes(1)))
#endif
#endif

inline goOut() {
  d_step {
    publishing && (holds[PUBLISHER] || leader == PUBLISHER || mayGoOn) ->
      version = (version < known[PUBLISHER] -> known[PUBLISHER] : version);
      assert(version >= began || !(vouched || holds[PUBLISHER] || leader == PUBLISHER));
      assert(version >= reached[0] && version >= reached[1] && version >= reached[2]);
      publishing = false;
      began = 0; reached[0] = 0; reached[1] = 0; reached[2] = 0;
#ifndef OLD_ANSWER
      asked = 0; vouched = false;
#endif
      version = 0
  }
}

active proctype Shard() {
  d_step { links[0] = 6; links[1] = 5; links[2] = 3 }
end:
  do
#define pair(i, j) :: connect(i, j) :: cut(i, j)
  pair(0, 1)
  pair(0, 2)
  pair(1, 2)
#define node(i) :: lead(i) :: learn(i) :: take(i) :: lapse(i)
  node(0)
  node(1)
  node(2)
  :: commit()
  :: answer()
  :: begin()
  :: ask(0)
  :: ask(1)
  :: goOut()
  od
}
