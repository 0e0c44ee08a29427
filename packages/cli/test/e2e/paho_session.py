"""A paho client with a persistent session for resume.test.ts.

Usage: paho_session.py CLIENT_ID TOPIC QOS PORT [PORT ...]

Connects to the first port, subscribes, and goes on at the next port (in a circle) whenever the
connection ends. Prints a line for each event: "connected PORT SESSION_PRESENT", "subscribed",
"message PAYLOAD".
"""

import sys
import time

import paho.mqtt.client as mqtt

client_id, topic, qos = sys.argv[1], sys.argv[2], int(sys.argv[3])
ports = [int(port) for port in sys.argv[4:]]
state = {"turn": 0, "connected": False, "subscribed": False}


def say(*words):
    print(*words, flush=True)


def on_connect(client, userdata, flags, rc):
    if rc != 0:
        return
    state["connected"] = True
    say("connected", ports[state["turn"]], flags["session present"])
    if not state["subscribed"]:
        client.subscribe(topic, qos)


def on_subscribe(client, userdata, mid, granted):
    state["subscribed"] = True
    say("subscribed")


def on_message(client, userdata, message):
    say("message", message.payload.decode())


# paho 2 asks which shape of callbacks is meant; these are of the first.
if hasattr(mqtt, "CallbackAPIVersion"):
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, client_id, clean_session=False)
else:
    client = mqtt.Client(client_id, clean_session=False)
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message

while True:
    state["connected"] = False
    started = time.monotonic()
    try:
        client.connect("127.0.0.1", ports[state["turn"]], keepalive=10)
        # A node that accepts the connection and does not answer CONNECT is left after 5 s.
        while client.loop(0.1) == mqtt.MQTT_ERR_SUCCESS:
            if not state["connected"] and time.monotonic() - started > 5:
                break
    except OSError:
        pass
    state["turn"] = (state["turn"] + 1) % len(ports)
    time.sleep(0.05)
