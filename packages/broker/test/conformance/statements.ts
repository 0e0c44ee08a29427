/**
 * The normative statements of MQTT 5.0 and 3.1.1, by number: whom each binds, and in short what it says.
 *
 * A statement for the server has a test that cites its number; any other has its reason here.
 */

/** Why a statement has no test. */
export const REASONS = {
  client: 'binds clients',
  unsent: 'the broker never sends a Reason String or User Properties of its own',
  auth: 'there is no enhanced authentication: its refusal is tested (4.12.0-1)',
  other: 'binds what is outside of the broker',
} as const;

export type Kind = 'server' | keyof typeof REASONS;

export interface Statement {
  readonly number: string;
  readonly kind: Kind;
  readonly text: string;
}

function list(lines: string): readonly Statement[] {
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const [, number = '', kind = '', text = ''] = /^(\S+) (\S+) (.*)$/.exec(line) ?? [];
      return { number, kind: kind as Kind, text };
    });
}

export const MQTT_5 = list(`
1.5.4-1 server strings are well-formed UTF-8, without surrogates
1.5.4-2 server strings have no U+0000
1.5.4-3 server a byte order mark is U+FEFF, and stays
1.5.5-1 server Variable Byte Integers are in their shortest form
1.5.7-1 server both strings of a pair are UTF-8
2.1.3-1 server reserved flags are as listed
2.2.1-2 server a PUBLISH at QoS 0 has no Packet Identifier
2.2.1-3 server a client’s Packet Identifiers are not 0
2.2.1-4 server the server’s Packet Identifiers are not 0, and unused
2.2.1-5 server acknowledgements have the Packet Identifier of their PUBLISH
2.2.1-6 server SUBACK and UNSUBACK have the Packet Identifier of their request
2.2.2-1 server no properties are a Property Length of 0
3.1.0-1 server the first packet is CONNECT
3.1.0-2 server a second CONNECT ends the connection
3.1.2-1 server the protocol name is MQTT
3.1.2-2 server another protocol version is refused
3.1.2-3 server the reserved Connect Flag is 0
3.1.2-4 server Clean Start discards the session
3.1.2-5 server without Clean Start the session is resumed
3.1.2-6 server without a session one is made
3.1.2-7 server a Will is kept with the session
3.1.2-8 server the Will is published once the connection is closed
3.1.2-9 server with the Will Flag, topic and payload of the Will are there
3.1.2-10 server a Will goes once it is published, and at DISCONNECT 0x00
3.1.2-11 server without the Will Flag, Will QoS is 0
3.1.2-12 server Will QoS is not 3
3.1.2-13 server without the Will Flag, Will Retain is 0
3.1.2-14 server without Will Retain the Will is not retained
3.1.2-15 server with Will Retain the Will is retained
3.1.2-16 server without its flag there is no User Name
3.1.2-17 server with its flag there is a User Name
3.1.2-18 server without its flag there is no Password
3.1.2-19 server with its flag there is a Password
3.1.2-20 client a silent client sends PINGREQ
3.1.2-21 server Server Keep Alive holds
3.1.2-22 server silence of one and a half Keep Alive ends the connection
3.1.2-23 server the session outlives the connection while its expiry is above 0
3.1.2-24 server no packet exceeds the client’s Maximum Packet Size
3.1.2-25 server a message too large is discarded, as if it had been sent
3.1.2-26 server no Topic Alias above the client’s maximum
3.1.2-27 server no Topic Alias if the client allows none
3.1.2-28 server no Response Information unless requested
3.1.2-29 unsent Reason Strings only as Request Problem Information says
3.1.2-30 client with an Authentication Method, nothing but AUTH or DISCONNECT before CONNACK
3.1.3-1 server the fields of the payload are in order
3.1.3-2 server the Client Identifier names the session
3.1.3-3 server the Client Identifier is there, and first
3.1.3-4 server the Client Identifier is UTF-8
3.1.3-5 server Client Identifiers of 1 to 23 letters and digits are accepted
3.1.3-6 server a client without an identifier is assigned a unique one
3.1.3-7 server CONNACK has the Assigned Client Identifier
3.1.3-8 server a refused Client Identifier closes the connection
3.1.3-9 server a connection within the Will Delay Interval stops the Will
3.1.3-11 server the Will Topic is UTF-8
3.1.3-12 server the User Name is UTF-8
3.1.4-1 server a malformed CONNECT closes the connection
3.1.4-2 server a CONNECT that fails a check closes the connection
3.1.4-3 server an older connection of the Client Identifier is told 0x8E and closed
3.1.4-4 server Clean Start is processed
3.1.4-5 server CONNACK 0x00 acknowledges CONNECT
3.1.4-6 server what comes behind a refused CONNECT is not processed
3.2.0-1 server CONNACK comes first
3.2.0-2 server there is one CONNACK
3.2.2-1 server reserved bits of CONNACK are 0
3.2.2-2 server with Clean Start, Session Present is 0
3.2.2-3 server Session Present says whether there was a session
3.2.2-4 client Session Present without state closes the connection
3.2.2-5 client without Session Present the client discards its state
3.2.2-6 server a refusal has Session Present 0
3.2.2-7 server a refusal closes the connection
3.2.2-8 server CONNACK has one of its Reason Codes
3.2.2-9 server Maximum QoS is announced
3.2.2-10 server a SUBSCRIBE of any QoS is accepted nonetheless
3.2.2-11 client no PUBLISH above Maximum QoS
3.2.2-12 server a Will above Maximum QoS is refused
3.2.2-13 server a Will with RETAIN is refused where there is none
3.2.2-14 client no RETAIN where there is none
3.2.2-15 client no packet above the server’s Maximum Packet Size
3.2.2-16 server an Assigned Client Identifier is new
3.2.2-17 client no Topic Alias above the server’s maximum
3.2.2-18 client no Topic Alias if the server allows none
3.2.2-19 unsent Reason String of CONNACK within Maximum Packet Size
3.2.2-20 unsent User Property of CONNACK within Maximum Packet Size
3.2.2-21 client the client uses Server Keep Alive
3.2.2-22 server without Server Keep Alive, the client’s holds
3.3.1-1 server DUP is set when a PUBLISH is sent again
3.3.1-2 server no DUP at QoS 0
3.3.1-3 server DUP is not passed on
3.3.1-4 server no PUBLISH of QoS 3
3.3.1-5 server RETAIN replaces the retained message
3.3.1-6 server an empty payload removes it
3.3.1-7 server an empty payload is not retained
3.3.1-8 server without RETAIN nothing is stored or removed
3.3.1-9 server Retain Handling 0 sends retained messages
3.3.1-10 server Retain Handling 1 sends them for a new subscription only
3.3.1-11 server Retain Handling 2 sends none
3.3.1-12 server Retain As Published 0 clears RETAIN
3.3.1-13 server Retain As Published 1 keeps RETAIN
3.3.2-1 server a PUBLISH begins with a Topic Name in UTF-8
3.3.2-2 server a Topic Name has no wildcards
3.3.2-3 server what a client gets matches its filter
3.3.2-4 server the Payload Format Indicator is passed on
3.3.2-5 server an expired message is not sent
3.3.2-6 server Message Expiry Interval is what is left of it
3.3.2-7 server Topic Aliases end with their connection
3.3.2-8 server no Topic Alias 0
3.3.2-9 client no Topic Alias above the server’s maximum
3.3.2-10 client the client accepts all it allows
3.3.2-11 server no Topic Alias above the client’s maximum
3.3.2-12 server all Topic Aliases up to the maximum are accepted
3.3.2-13 server the Response Topic is UTF-8
3.3.2-14 server the Response Topic has no wildcards
3.3.2-15 server the Response Topic is passed on
3.3.2-16 server Correlation Data is passed on
3.3.2-17 server User Properties are passed on
3.3.2-18 server User Properties keep their order
3.3.2-19 server the Content Type is UTF-8
3.3.2-20 server the Content Type is passed on
3.3.4-1 server a PUBLISH is answered by its QoS
3.3.4-2 server overlapping subscriptions: at the highest QoS
3.3.4-3 server Subscription Identifiers are sent
3.3.4-4 server one copy has the identifiers of all
3.3.4-6 server a client’s PUBLISH has no Subscription Identifier
3.3.4-7 server no more than Receive Maximum of a client’s publishes under way
3.3.4-8 client Receive Maximum delays no other packets of a client
3.3.4-9 server no more than the client’s Receive Maximum under way
3.3.4-10 server Receive Maximum delays no other packets of the server
3.4.2-1 server PUBACK has one of its Reason Codes
3.4.2-2 unsent Reason String of PUBACK
3.4.2-3 unsent User Property of PUBACK
3.5.2-1 server PUBREC has one of its Reason Codes
3.5.2-2 unsent Reason String of PUBREC
3.5.2-3 unsent User Property of PUBREC
3.6.1-1 server the flags of PUBREL are 2
3.6.2-1 server PUBREL has one of its Reason Codes
3.6.2-2 unsent Reason String of PUBREL
3.6.2-3 unsent User Property of PUBREL
3.7.2-1 server PUBCOMP has one of its Reason Codes
3.7.2-2 unsent Reason String of PUBCOMP
3.7.2-3 unsent User Property of PUBCOMP
3.8.1-1 server the flags of SUBSCRIBE are 2
3.8.3-1 server Topic Filters are UTF-8
3.8.3-2 server SUBSCRIBE has a Topic Filter
3.8.3-3 server No Local: not to the publisher
3.8.3-4 server no No Local on a Shared Subscription
3.8.3-5 server reserved bits of Subscription Options are 0
3.8.4-1 server SUBSCRIBE is answered by SUBACK
3.8.4-2 server SUBACK has its Packet Identifier
3.8.4-3 server the same filter replaces its subscription
3.8.4-4 server replacing loses no message, and sends retained ones again
3.8.4-5 server several filters are as several SUBSCRIBE
3.8.4-6 server SUBACK has a code for each filter
3.8.4-7 server the code is the QoS granted, or a failure
3.8.4-8 server messages come at the lower of both QoS
3.9.2-1 unsent Reason String of SUBACK
3.9.2-2 unsent User Property of SUBACK
3.9.3-1 server the codes are in order
3.9.3-2 server SUBACK has its Reason Codes only
3.10.1-1 server the flags of UNSUBSCRIBE are 2
3.10.3-1 server Topic Filters of UNSUBSCRIBE are UTF-8
3.10.3-2 server UNSUBSCRIBE has a Topic Filter
3.10.4-1 server filters are compared character by character
3.10.4-2 server no further messages after UNSUBSCRIBE
3.10.4-3 server deliveries that have begun are completed
3.10.4-4 server UNSUBSCRIBE is answered by UNSUBACK
3.10.4-5 server UNSUBACK has its Packet Identifier, also when nothing is deleted
3.10.4-6 server several filters are as several UNSUBSCRIBE
3.11.2-1 unsent Reason String of UNSUBACK
3.11.2-2 unsent User Property of UNSUBACK
3.11.3-1 server the codes are in order
3.11.3-2 server UNSUBACK has its Reason Codes only
3.12.4-1 server PINGREQ is answered
3.14.0-1 server no DISCONNECT before a CONNACK that accepts
3.14.1-1 server reserved bits of DISCONNECT are 0
3.14.2-1 server DISCONNECT has one of its Reason Codes
3.14.2-2 server the server’s DISCONNECT has no Session Expiry Interval
3.14.2-3 unsent Reason String of DISCONNECT
3.14.2-4 unsent User Property of DISCONNECT
3.14.4-1 server nothing is sent behind DISCONNECT
3.14.4-2 server the connection is closed behind DISCONNECT
3.14.4-3 server DISCONNECT 0x00 discards the Will
3.15.1-1 server the flags of AUTH are 0
3.15.2-1 server AUTH has one of its Reason Codes
3.15.2-2 unsent Reason String of AUTH
3.15.2-3 unsent User Property of AUTH
4.1.0-1 server the session is kept while the connection is open
4.1.0-2 server the session ends with its expiry
4.2.0-1 server a transport with ordered, lossless bytes both ways
4.3.1-1 server QoS 0 is sent with DUP 0
4.3.2-1 server QoS 1 takes an unused Packet Identifier
4.3.2-2 server QoS 1 is sent with DUP 0 first
4.3.2-3 server QoS 1 is under way until PUBACK
4.3.2-4 server QoS 1 is answered by PUBACK once it is the server’s
4.3.2-5 server behind PUBACK the Packet Identifier is a new message
4.3.3-1 server QoS 2 takes an unused Packet Identifier
4.3.3-2 server QoS 2 is sent with DUP 0 first
4.3.3-3 server QoS 2 is under way until PUBREC
4.3.3-4 server PUBREC is answered by PUBREL
4.3.3-5 server PUBREL is under way until PUBCOMP
4.3.3-6 server no PUBLISH behind its PUBREL
4.3.3-7 server no expiry of what has been sent
4.3.3-8 server QoS 2 is answered by PUBREC once it is the server’s
4.3.3-9 server behind a PUBREC that refuses, the Packet Identifier is a new message
4.3.3-10 server until PUBREL, the Packet Identifier is the same message
4.3.3-11 server PUBREL is answered by PUBCOMP
4.3.3-12 server behind PUBCOMP the Packet Identifier is a new message
4.3.3-13 server the exchange goes on though the message has expired
4.4.0-1 server at a reconnect, and only then, what is not acknowledged is sent again
4.4.0-2 server a PUBACK or PUBREC that refuses ends the exchange
4.5.0-1 server a message joins the sessions of its subscribers
4.5.0-2 client a client acknowledges what it receives
4.6.0-1 client a client sends again in order
4.6.0-2 server PUBACKs are in order
4.6.0-3 server PUBRECs are in order
4.6.0-4 server PUBRELs are in order
4.6.0-5 server messages of a topic and QoS keep the order of their publisher
4.6.0-6 server every topic is ordered
4.7.0-1 server no wildcards in Topic Names
4.7.1-1 server # stands alone and last
4.7.1-2 server + takes a whole level
4.7.2-1 server leading wildcards do not match $ topics
4.7.3-1 server topics have at least one character
4.7.3-2 server topics have no U+0000
4.7.3-3 server topics have at most 65,535 bytes
4.7.3-4 server topics are not normalized
4.8.2-1 server a Shared Subscription begins with $share/ and a ShareName
4.8.2-2 server a ShareName has none of / + #, and a filter behind it
4.8.2-3 server the member’s granted QoS holds
4.8.2-4 server a QoS 2 message is completed with its member
4.8.2-5 server it goes with the member’s session
4.8.2-6 server what a member refuses is discarded
4.9.0-1 server the send quota begins at Receive Maximum at most
4.9.0-2 server no PUBLISH above QoS 0 without quota
4.9.0-3 server other packets go on without quota
4.12.0-1 server an Authentication Method that is not supported closes the connection
4.12.0-2 auth the server continues with AUTH 0x18
4.12.0-3 client the client continues with AUTH 0x18
4.12.0-4 auth the server rejects an authentication
4.12.0-5 auth the Authentication Method stays the same
4.12.0-6 server no AUTH, and no Authentication Method in CONNACK, unless asked
4.12.0-7 server a client without Authentication Method sends no AUTH
4.12.1-1 client re-authentication has the same method
4.12.1-2 auth a failed re-authentication ends the connection
4.13.1-1 server a malformed packet or Protocol Error closes the connection
4.13.2-1 server a code of 0x80 or above in CONNACK or DISCONNECT closes the connection
6.0.0-1 server WebSocket: binary frames only
6.0.0-2 server WebSocket: packets need not be aligned with frames
6.0.0-3 client WebSocket: the client offers mqtt
6.0.0-4 server WebSocket: the server selects mqtt
`);

export const MQTT_3 = list(`
1.5.3-1 server strings are well-formed UTF-8, without surrogates
1.5.3-2 server strings have no U+0000
1.5.3-3 server a byte order mark is U+FEFF, and stays
2.2.2-1 server reserved flags are as listed
2.2.2-2 server invalid flags close the connection
2.3.1-1 server a client’s Packet Identifiers are not 0
2.3.1-2 client the client’s Packet Identifiers are unused
2.3.1-3 client what a client sends again has its Packet Identifier
2.3.1-4 server the server’s Packet Identifiers are unused, and stay
2.3.1-5 server a PUBLISH at QoS 0 has no Packet Identifier
2.3.1-6 server acknowledgements have the Packet Identifier of their PUBLISH
2.3.1-7 server SUBACK and UNSUBACK have the Packet Identifier of their request
3.1.0-1 server the first packet is CONNECT
3.1.0-2 server a second CONNECT closes the connection
3.1.2-1 server another protocol name is refused
3.1.2-2 server another protocol level is refused with 0x01
3.1.2-3 server the reserved Connect Flag is 0
3.1.2-4 server without Clean Session the session is resumed
3.1.2-5 server QoS 1 and 2 messages are stored meanwhile
3.1.2-6 server with Clean Session the session before is discarded
3.1.2-7 server retained messages outlive the session of their publisher
3.1.2-8 server the Will is published once the connection is closed
3.1.2-9 server with the Will Flag, topic and message of the Will are there
3.1.2-10 server a Will goes once it is published, and at DISCONNECT
3.1.2-11 server without the Will Flag, Will QoS and Will Retain are 0
3.1.2-12 server without the Will Flag no Will is published
3.1.2-13 server without the Will Flag, Will QoS is 0
3.1.2-14 server Will QoS is not 3
3.1.2-15 server without the Will Flag, Will Retain is 0
3.1.2-16 server without Will Retain the Will is not retained
3.1.2-17 server with Will Retain the Will is retained
3.1.2-18 server without its flag there is no User Name
3.1.2-19 server with its flag there is a User Name
3.1.2-20 server without its flag there is no Password
3.1.2-21 server with its flag there is a Password
3.1.2-22 server no Password without User Name
3.1.2-23 client a silent client sends PINGREQ
3.1.2-24 server silence of one and a half Keep Alive closes the connection
3.1.3-1 server the fields of the payload are in order
3.1.3-2 server the Client Identifier names the session
3.1.3-3 server the Client Identifier is there, and first
3.1.3-4 server the Client Identifier is UTF-8
3.1.3-5 server Client Identifiers of 1 to 23 letters and digits are accepted
3.1.3-6 server a client without an identifier is assigned a unique one
3.1.3-7 server an empty Client Identifier takes Clean Session
3.1.3-8 server otherwise it is refused with 0x02
3.1.3-9 server a refused Client Identifier closes the connection
3.1.3-10 server the Will Topic is UTF-8
3.1.3-11 server the User Name is UTF-8
3.1.4-1 server a malformed CONNECT closes the connection
3.1.4-2 server an older connection of the Client Identifier is closed
3.1.4-3 server Clean Session is processed
3.1.4-4 server CONNACK 0x00 acknowledges CONNECT
3.1.4-5 server what comes behind a refused CONNECT is not processed
3.2.0-1 server CONNACK comes first
3.2.2-1 server with Clean Session, Session Present is 0
3.2.2-2 server without it, Session Present says whether there was a session
3.2.2-3 server without a session, Session Present is 0
3.2.2-4 server a refusal has Session Present 0
3.2.2-5 server a refusal closes the connection
3.2.2-6 server where no return code fits, the connection is closed without CONNACK
3.3.1-1 server DUP is set when a PUBLISH is sent again
3.3.1-2 server no DUP at QoS 0
3.3.1-3 server DUP is not passed on
3.3.1-4 server no PUBLISH of QoS 3
3.3.1-5 server RETAIN stores the message
3.3.1-6 server a new subscription gets the retained message
3.3.1-7 server RETAIN at QoS 0 replaces the retained message
3.3.1-8 server RETAIN is set for a new subscription
3.3.1-9 server RETAIN is not set for one that exists
3.3.1-10 server an empty payload removes the retained message
3.3.1-11 server an empty payload is not retained
3.3.1-12 server without RETAIN nothing is stored or removed
3.3.2-1 server a PUBLISH begins with a Topic Name in UTF-8
3.3.2-2 server a Topic Name has no wildcards
3.3.2-3 server what a client gets matches its filter
3.3.4-1 server a PUBLISH is answered by its QoS
3.3.5-1 server overlapping subscriptions: at the highest QoS
3.3.5-2 server a publish that is not allowed is acknowledged, or closes the connection
3.6.1-1 server the flags of PUBREL are 2
3.8.1-1 server the flags of SUBSCRIBE are 2
3.8.3-1 server Topic Filters are UTF-8
3.8.3-2 server a server without wildcards refuses them
3.8.3-3 server SUBSCRIBE has a Topic Filter
3.8.3-4 server reserved bits of the requested QoS are 0
3.8.4-1 server SUBSCRIBE is answered by SUBACK
3.8.4-2 server SUBACK has its Packet Identifier
3.8.4-3 server the same filter replaces its subscription
3.8.4-4 server several filters are as several SUBSCRIBE
3.8.4-5 server SUBACK has a code for each filter, the QoS granted or 0x80
3.8.4-6 server messages come at the lower of both QoS
3.9.3-1 server the codes are in order
3.9.3-2 server SUBACK has 0, 1, 2 and 0x80 only
3.10.1-1 server the flags of UNSUBSCRIBE are 2
3.10.3-1 server Topic Filters of UNSUBSCRIBE are UTF-8
3.10.3-2 server UNSUBSCRIBE has a Topic Filter
3.10.4-1 server filters are compared character by character
3.10.4-2 server no further messages after UNSUBSCRIBE
3.10.4-3 server deliveries that have begun are completed
3.10.4-4 server UNSUBSCRIBE is answered by UNSUBACK with its Packet Identifier
3.10.4-5 server also when nothing is deleted
3.10.4-6 server several filters are as several UNSUBSCRIBE
3.12.4-1 server PINGREQ is answered
3.14.1-1 server reserved bits of DISCONNECT are 0
3.14.4-1 client the client closes behind DISCONNECT
3.14.4-2 client the client sends nothing behind DISCONNECT
3.14.4-3 server DISCONNECT discards the Will
4.1.0-1 server the session is kept as long as it lasts
4.1.0-2 server the session lasts at least as long as its connection
4.3.1-1 server QoS 0 is sent with DUP 0
4.3.2-1 server the sender at QoS 1: an unused identifier, DUP 0, under way until PUBACK
4.3.2-2 server the receiver at QoS 1: PUBACK, then a new message
4.3.3-1 server the sender at QoS 2: under way until PUBREC, PUBREL, under way until PUBCOMP
4.3.3-2 server the receiver at QoS 2: PUBREC, once until PUBREL, PUBCOMP
4.4.0-1 server at a reconnect what is not acknowledged is sent again
4.5.0-1 server a message joins the sessions of its subscribers
4.5.0-2 client a client acknowledges what it receives
4.6.0-1 client a client sends again in order
4.6.0-2 server PUBACKs are in order
4.6.0-3 server PUBRECs are in order
4.6.0-4 server PUBRELs are in order
4.6.0-5 server every topic is ordered
4.6.0-6 server messages of a topic and QoS keep the order of their publisher
4.7.1-1 server wildcards stand in filters only
4.7.1-2 server # stands alone and last
4.7.1-3 server + takes a whole level
4.7.2-1 server leading wildcards do not match $ topics
4.7.3-1 server topics have at least one character
4.7.3-2 server topics have no U+0000
4.7.3-3 server topics have at most 65,535 bytes
4.7.3-4 server topics are not normalized
4.8.0-1 server a violation of the protocol closes the connection
4.8.0-2 server so does a transient error while a packet is processed
6.0.0-1 server WebSocket: binary frames only
6.0.0-2 server WebSocket: packets need not be aligned with frames
6.0.0-3 client WebSocket: the client offers mqtt
6.0.0-4 server WebSocket: the server selects mqtt
7.0.0-1 other a server that connects to servers is a client too
7.0.0-2 other no extension is needed to interoperate
7.1.1-1 server a server has a transport with ordered, lossless bytes both ways
7.1.2-1 client a client has such a transport
`);
