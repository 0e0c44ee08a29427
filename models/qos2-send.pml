/*
 * QoS 2 from a session's queue to its subscriber, across changes of the shard's leader.
 *
 * A Packet Identifier is derived from the queue position, so nothing is committed before a PUBLISH
 * leaves. PUBREC commits REL before PUBREL leaves; PUBCOMP commits DONE before the position's identifier
 * serves the position IDS further on. A new leader knows what was committed and sends again whatever is
 * unfinished: PUBREL where REL is committed, else PUBLISH.
 *
 * What fails: the leader dies at any time, with every uncommitted operation surviving or not, one by
 * one; acknowledgements on their way to it are lost; packets on their way from it reach the gateway late.
 * The client's connection outlives the leader, or breaks and takes everything under way with it.
 *
 * Holds: every message is delivered exactly once, in order.
 *
 * Negative controls, each drops one rule and must fail:
 *   EARLY_PUBREL     PUBREL leaves when REL is appended, not when it is committed
 *   EARLY_REUSE      an identifier is used again when DONE is appended, not when it is committed
 *   FORGET_REL       a new leader sends PUBLISH even where REL is committed
 *   NO_FENCE         the gateway passes on what leaders of earlier views sent, after hearing a later one
 */
#define MESSAGES 3
#define IDS 2
#define FAILOVERS 2
#define RECONNECTS 1

#define QUEUED 0
#define RELEASED 1
#define FINISHED 2

mtype = { PUBLISH, PUBREC, PUBREL, PUBCOMP };

/* By position: what is committed; what the leader has appended (at least as far). */
byte committed[MESSAGES];
byte appended[MESSAGES];
/* The leader's memory: has it sent the PUBLISH or the PUBREL of this position since it leads? */
bool sentPublish[MESSAGES];
bool sentPubrel[MESSAGES];

/* The leader's view, and the highest view that the gateway has heard of. */
byte view = 0;
byte heard = 0;
byte reconnects = 0;

/* From the leader of each view to the gateway: PUBLISH position, PUBREL identifier. */
chan down[FAILOVERS + 1] = [2] of { mtype, byte };
/* From the client, through the gateway, to the leader of now: an identifier. */
chan up = [4] of { mtype, byte };

/* The client: by identifier the message it holds (+ 1), by message how often it was delivered. */
byte held[IDS];
byte delivered[MESSAGES];

byte i;
byte p;

#ifdef EARLY_PUBREL
#define SENDS_AT_PUBREC true
#else
#define SENDS_AT_PUBREC false
#endif

#ifdef EARLY_REUSE
#define finishedBefore(q) (q < IDS || appended[q - IDS] == FINISHED)
#else
#define finishedBefore(q) (q < IDS || committed[q - IDS] == FINISHED)
#endif

/* The position that `id` means now: the first that is not finished. */
inline positionOf(id) {
  p = id;
  do
  :: p < MESSAGES && committed[p] == FINISHED -> p = p + IDS
  :: else -> break
  od
}

inline forgetSent() {
  i = 0;
  do
  :: i < MESSAGES -> sentPublish[i] = false; sentPubrel[i] = false; i++
  :: else -> break
  od;
  i = 0
}

inline drain(link) {
  do
  :: nempty(link) -> link?_,_
  :: empty(link) -> break
  od
}

inline sendPublish(q) {
  appended[q] == QUEUED && !sentPublish[q] && finishedBefore(q) && nfull(down[view]) &&
  (q == 0 || sentPublish[q - 1] || appended[q - 1] != QUEUED) ->
    sentPublish[q] = true;
    down[view]!PUBLISH,q
}

inline sendPubrel(q) {
  committed[q] == RELEASED && appended[q] == RELEASED && !sentPubrel[q] && nfull(down[view]) ->
    sentPubrel[q] = true;
#ifdef FORGET_REL
    if
    :: sentPublish[q] -> down[view]!PUBREL,q % IDS
    :: else -> sentPublish[q] = true; down[view]!PUBLISH,q
    fi
#else
    down[view]!PUBREL,q % IDS
#endif
}

inline commit(q) {
  appended[q] != committed[q] ->
    committed[q] = appended[q];
    assert(committed[q] != FINISHED || delivered[q] == 1)
}

active proctype Leader() {
  byte id;
end:
  do
  :: atomic { sendPublish(0) }
  :: atomic { sendPublish(1) }
  :: atomic { sendPublish(2) }
  :: atomic { sendPubrel(0) }
  :: atomic { sendPubrel(1) }
  :: atomic { sendPubrel(2) }
  :: atomic { commit(0) }
  :: atomic { commit(1) }
  :: atomic { commit(2) }

  :: atomic {
       up?[PUBREC,id] && (nfull(down[view]) || !SENDS_AT_PUBREC) -> up?PUBREC,id;
       positionOf(id);
       if
       :: p < MESSAGES && appended[p] == QUEUED ->
            appended[p] = RELEASED;
#ifdef EARLY_PUBREL
            sentPubrel[p] = true;
            down[view]!PUBREL,id
#endif
       :: p < MESSAGES && appended[p] == RELEASED && committed[p] == RELEASED -> sentPubrel[p] = false
       :: else
       fi;
       p = 0; id = 0
     }
  :: atomic {
       up?[PUBCOMP,id] -> up?PUBCOMP,id;
       positionOf(id);
       if
       :: p < MESSAGES && committed[p] == RELEASED && appended[p] == RELEASED -> appended[p] = FINISHED
       :: else
       fi;
       p = 0; id = 0
     }

  /* The leader dies; what it had appended survives or not; acknowledgements to it may be lost. */
  :: atomic {
       view < FAILOVERS ->
         view++;
         p = 0;
         do
         :: p < MESSAGES ->
              if
              :: appended[p] != committed[p] -> commit(p)
              :: appended[p] = committed[p]
              fi;
              p++
         :: else -> break
         od;
         p = 0;
         forgetSent();
         do
         :: nempty(up) -> up?_,_
         :: break
         od
     }

  /* The client's connection breaks, and it comes back: nothing that was under way arrives. */
  :: atomic {
       reconnects < RECONNECTS ->
         reconnects++;
         i = 0;
         drain(down[0]);
         drain(down[1]);
         drain(down[2]);
         drain(up);
         heard = view;
         forgetSent()
     }
  od
}

/* The gateway takes from the link of the leader of view `v`; what it passes on is the client's at once. */
inline take(v) {
  nfull(up) && nempty(down[v]) ->
    if
#ifndef NO_FENCE
    :: v < heard -> down[v]?_,_
    :: v >= heard ->
#else
    :: true ->
#endif
         if
         :: v > heard -> heard = v
         :: else
         fi;
         if
         :: down[v]?PUBLISH,q ->
              if
              :: held[q % IDS] == 0 ->
                   held[q % IDS] = q + 1;
                   delivered[q]++;
                   assert(delivered[q] == 1);
                   assert(q == 0 || delivered[q - 1] == 1)
              :: else
              fi;
              up!PUBREC,q % IDS
         :: down[v]?PUBREL,q ->
              held[q] = 0;
              up!PUBCOMP,q
         fi
    fi;
    q = 0
}

active proctype GatewayAndClient() {
  byte q;
end:
  do
  :: atomic { take(0) }
  :: atomic { take(1) }
  :: atomic { take(2) }
  od
}

/* When nothing can happen any more, everything has been delivered. */
active proctype Outcome() {
  timeout -> assert(committed[0] == FINISHED && committed[1] == FINISHED && committed[MESSAGES - 1] == FINISHED)
}
