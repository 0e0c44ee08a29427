/*
 * QoS 2 from a publisher to a subscriber's queue in another shard, across changes of leaders.
 *
 * PUBLISH commits RX2 {Packet Identifier, message} in the publisher's shard; then ENQ goes to the
 * subscriber's shard, which drops what it has seen by the id of the RX2; once that has committed,
 * PUBREC. PUBREL commits RX2DONE, then PUBCOMP. A new leader drives every RX2 that is not marked ENQD.
 * The subscriber's shard remembers ids from the oldest RX2 not marked ENQD on, and drops what is below.
 *
 * What fails: the publisher's leader dies at any time, with every uncommitted operation surviving or
 * not; ENQs that it sent arrive at any later time; the gateway sends the client's unanswered packet again
 * to the new leader, while an answer of the old one may still be under way. The client's connection
 * breaks and it comes back through another gateway, while the first may still hold packets of it. The
 * subscriber's leader dies, too.
 *
 * One Packet Identifier, so every message uses it again. A client may take any answer that fits the
 * exchange of its Packet Identifier for the one it waits for: it cannot tell messages apart.
 *
 * Holds: what the client calls complete is in the queue exactly once; nothing is there twice.
 *
 * Negative controls, each drops one rule and must fail:
 *   EARLY_PUBREC     PUBREC leaves when RX2 is appended
 *   EARLY_PUBCOMP    PUBCOMP leaves when RX2DONE is appended
 *   EARLY_ENQ        ENQ leaves when RX2 is appended
 *   NO_REDRIVE       PUBREC leaves when RX2 is committed, and a new leader does not drive it again
 *   FORGET_ALL       the subscriber's shard forgets ids without remembering below which it did
 *   SEEN_IN_MEMORY   the subscriber's shard does not commit the ids with the queue
 *   NO_EPOCH         operations of a session epoch that has ended are accepted
 *   NO_MATCH         the gateway passes on answers to requests that are no longer open
 */
#define MESSAGES 2
#define FAILOVERS 2
#define SUBSCRIBER_FAILOVERS 1
#define RECONNECTS 1
/* RX2s ever appended; more are refused, which no run needs to finish. */
#define IDS 5
#define NONE 9

mtype = { PUBLISH, PUBREC, PUBREL, PUBCOMP };

/* The publisher's shard, by id of the RX2: its state, message, and what is known of its ENQ. */
#define ABSENT 0
#define APPENDED 1
#define OPEN 2
#define CLOSED 3
byte rx[IDS];
byte messageOf[IDS];
bool enqd[IDS];
/* The leader's memory: RX2DONE appended; ENQ sent; ENQ known to be committed; who waits for PUBREC. */
bool closing[IDS];
bool driven[IDS];
bool placed[IDS];
bool owesPubrec = false;
bool owesPubcomp = false;
byte next = 0;
byte view = 0;
/* The session epoch is the number of the connection that last opened the session. */
byte epoch = 0;

/* ENQs under way, by id; the subscriber's shard: ids seen, those below `mark` forgotten; the queue. */
byte under[IDS];
bool seen[IDS];
byte mark = 0;
byte queued[MESSAGES];
byte subscriberFailovers = 0;

/* From the client through the gateway of each connection: type and message (which only we see). */
chan up[RECONNECTS + 1] = [3] of { mtype, byte };
/* From the leader of each view to the gateway of the connection of now: answers. */
chan down[FAILOVERS + 1] = [3] of { mtype, byte };

/* The client: message; 0 idle, 1 PUBLISH sent, 2 PUBREL sent. */
byte current = 0;
byte phase = 0;
byte conn = 0;

byte i;
byte g;

/* The RX2 that holds the Packet Identifier, appended or committed; NONE if it is free. */
inline findOpen() {
  g = 0;
  do
  :: g < next && (rx[g] == APPENDED || rx[g] == OPEN) -> break
  :: g < next && !(rx[g] == APPENDED || rx[g] == OPEN) -> g++
  :: g >= next -> g = NONE; break
  od
}

inline serve(c) {
  nempty(up[c]) && nfull(down[view]) ->
    if
#ifndef NO_EPOCH
    :: c < epoch -> up[c]?_,_
    :: c >= epoch ->
#else
    :: true ->
#endif
         findOpen();
         if
         :: up[c]?[PUBLISH,m] ->
              up[c]?PUBLISH,m;
              if
              :: g == NONE && next < IDS ->
                   rx[next] = APPENDED; messageOf[next] = m; next++
              :: else
              fi;
#ifdef EARLY_PUBREC
              down[view]!PUBREC,m
#else
              owesPubrec = true
#endif
         :: up[c]?[PUBREL,m] ->
              up[c]?PUBREL,m;
              if
              :: g != NONE -> closing[g] = true; owesPubrec = false;
#ifdef EARLY_PUBCOMP
                   down[view]!PUBCOMP,m
#else
                   owesPubcomp = true
#endif
              :: else -> down[view]!PUBCOMP,m
              fi
         fi
    fi;
    g = 0; m = 0
}

#ifdef EARLY_ENQ
#define mayDrive(id) (rx[id] != ABSENT)
#else
#define mayDrive(id) (rx[id] == OPEN || rx[id] == CLOSED)
#endif

#ifdef NO_REDRIVE
#define mayAnswer(id) (rx[id] == OPEN)
#else
#define mayAnswer(id) (rx[id] == OPEN && (placed[id] || enqd[id]))
#endif

inline advance(id) {
  if
  :: rx[id] == APPENDED -> rx[id] = OPEN
  :: closing[id] && rx[id] == OPEN && nfull(down[view]) ->
       rx[id] = CLOSED; closing[id] = false;
       if
       :: owesPubcomp -> owesPubcomp = false; down[view]!PUBCOMP,messageOf[id]
       :: else
       fi
  :: mayDrive(id) && !enqd[id] && !driven[id] && under[id] < 2 -> driven[id] = true; under[id]++
  :: owesPubrec && mayAnswer(id) && nfull(down[view]) -> owesPubrec = false; down[view]!PUBREC,messageOf[id]
  :: placed[id] && !enqd[id] && rx[id] >= OPEN -> enqd[id] = true
  fi
}

inline drain(link) {
  do
  :: nempty(link) -> link?_,_
  :: empty(link) -> break
  od
}

active proctype PublisherShard() {
  byte m;
end:
  do
  :: atomic { serve(0) }
  :: atomic { serve(1) }
  :: atomic { advance(0) }
  :: atomic { advance(1) }
  :: atomic { advance(2) }
  :: atomic { advance(3) }
  :: atomic { advance(4) }

  /* The leader dies. The gateway sends the client's unanswered packet again. */
  :: atomic {
       view < FAILOVERS && nfull(up[conn]) ->
         view++;
         g = 0;
         do
         :: g < IDS ->
              if
              :: rx[g] == APPENDED -> rx[g] = OPEN
              :: rx[g] == APPENDED -> rx[g] = ABSENT
              :: closing[g] && rx[g] == OPEN -> rx[g] = CLOSED
              :: rx[g] != APPENDED
              fi;
              closing[g] = false; placed[g] = false;
#ifdef NO_REDRIVE
              driven[g] = (rx[g] != ABSENT);
#else
              driven[g] = false;
#endif
              g++
         :: else -> break
         od;
         g = 0;
         owesPubrec = false; owesPubcomp = false;
         if
         :: phase == 1 -> up[conn]!PUBLISH,current
         :: phase == 2 -> up[conn]!PUBREL,current
         :: phase == 0
         fi
     }

  /* The client comes back through another gateway; OPEN commits before it may send. */
  :: atomic {
       conn < RECONNECTS ->
         conn++;
         epoch = conn;
         owesPubrec = false; owesPubcomp = false;
         drain(down[0]);
         drain(down[1]);
         drain(down[2]);
         if
         :: phase == 1 -> up[conn]!PUBLISH,current
         :: phase == 2 -> up[conn]!PUBREL,current
         :: phase == 0
         fi
     }
  od
}

#ifdef FORGET_ALL
#define isNew(id) (!seen[id])
#else
#define isNew(id) (id >= mark && !seen[id])
#endif

inline enqueue(id) {
  under[id] > 0 ->
    under[id]--;
    if
    :: isNew(id) ->
         seen[id] = true;
         queued[messageOf[id]]++;
         assert(queued[messageOf[id]] == 1)
    :: else
    fi;
    placed[id] = true
}

active proctype SubscriberShard() {
end:
  do
  :: atomic { enqueue(0) }
  :: atomic { enqueue(1) }
  :: atomic { enqueue(2) }
  :: atomic { enqueue(3) }
  :: atomic { enqueue(4) }
  /* It learns of the oldest RX2 that is not marked ENQD, at any time. */
  :: atomic {
       mark < next && (enqd[mark] || rx[mark] == ABSENT) ->
         seen[mark] = false;
         mark++
     }
  :: atomic {
       subscriberFailovers < SUBSCRIBER_FAILOVERS ->
         subscriberFailovers++;
#ifdef SEEN_IN_MEMORY
         i = 0;
         do
         :: i < IDS -> seen[i] = false; i++
         :: else -> break
         od;
         i = 0
#endif
     }
  od
}

#ifdef NO_MATCH
#define fits(p, m) (phase == p)
#else
#define fits(p, m) (phase == p && m == current)
#endif

inline take(v) {
  nempty(down[v]) && nfull(up[conn]) ->
    if
    :: down[v]?PUBREC,m ->
         if
         :: fits(1, m) -> phase = 2; up[conn]!PUBREL,current
         :: else
         fi
    :: down[v]?PUBCOMP,m ->
         if
         :: fits(2, m) ->
              assert(queued[current] == 1);
              phase = 0; current++
         :: else
         fi
    fi;
    m = 0
}

active proctype Client() {
  byte m;
end:
  do
  :: atomic {
       phase == 0 && current < MESSAGES && nfull(up[conn]) -> phase = 1; up[conn]!PUBLISH,current
     }
  :: atomic { take(0) }
  :: atomic { take(1) }
  :: atomic { take(2) }
  od
}

/* When nothing can happen any more, the client has completed every message. */
active proctype Outcome() {
  timeout -> assert(current == MESSAGES)
}
