/*
 * A paho.mqtt.c client that subscribes, publishes to itself, and prints what comes.
 *
 * Usage: paho_client VERSION SUBSCRIBER_URI PUBLISHER_URI TOPIC COUNT      VERSION: 31, 311 or 5
 *
 * For each QoS publishes COUNT messages, each acknowledged before the next. Prints "message QOS-NUMBER"
 * for each message that the subscriber gets, and "done"; ends with 1, and says why, when a call fails.
 */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 20000

static int version;

static void check(int ok, const char *what, int code) {
  if (ok) return;
  printf("%s failed with %d\n", what, code);
  exit(1);
}

static MQTTClient client_at(const char *uri, const char *id) {
  MQTTClient client;
  MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
  MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
  MQTTClient_connectOptions options5 = MQTTClient_connectOptions_initializer5;
  int code;
  if (version == MQTTVERSION_5) create.MQTTVersion = MQTTVERSION_5;
  code = MQTTClient_createWithOptions(&client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
  check(code == MQTTCLIENT_SUCCESS, "create", code);
  if (version == MQTTVERSION_5) {
    MQTTResponse response = MQTTClient_connect5(client, &options5, NULL, NULL);
    check(response.reasonCode == MQTTREASONCODE_SUCCESS, "connect", response.reasonCode);
    MQTTResponse_free(response);
    return client;
  }
  options.MQTTVersion = version;
  code = MQTTClient_connect(client, &options);
  check(code == MQTTCLIENT_SUCCESS, "connect", code);
  return client;
}

static void subscribe(MQTTClient client, const char *topic) {
  int code;
  if (version == MQTTVERSION_5) {
    MQTTResponse response = MQTTClient_subscribe5(client, topic, 2, NULL, NULL);
    check(response.reasonCode == MQTTREASONCODE_GRANTED_QOS_2, "subscribe", response.reasonCode);
    MQTTResponse_free(response);
    return;
  }
  code = MQTTClient_subscribe(client, topic, 2);
  check(code == MQTTCLIENT_SUCCESS, "subscribe", code);
}

static void publish(MQTTClient client, const char *topic, int qos, int number) {
  MQTTClient_message message = MQTTClient_message_initializer;
  MQTTClient_deliveryToken token;
  char payload[32];
  int code;
  message.payloadlen = snprintf(payload, sizeof payload, "%d-%d", qos, number);
  message.payload = payload;
  message.qos = qos;
  if (version == MQTTVERSION_5) {
    MQTTResponse response = MQTTClient_publishMessage5(client, topic, &message, &token);
    check(response.reasonCode == MQTTREASONCODE_SUCCESS, "publish", response.reasonCode);
    MQTTResponse_free(response);
  } else {
    code = MQTTClient_publishMessage(client, topic, &message, &token);
    check(code == MQTTCLIENT_SUCCESS, "publish", code);
  }
  if (qos == 0) return;
  code = MQTTClient_waitForCompletion(client, token, TIMEOUT_MS);
  check(code == MQTTCLIENT_SUCCESS, "acknowledgement", code);
}

static void receive(MQTTClient client, int count) {
  for (; count > 0; count--) {
    char *topic = NULL;
    int length = 0;
    MQTTClient_message *message = NULL;
    int code = MQTTClient_receive(client, &topic, &length, &message, TIMEOUT_MS);
    check(code == MQTTCLIENT_SUCCESS && message != NULL, "receive", code);
    printf("message %.*s\n", message->payloadlen, (char *)message->payload);
    MQTTClient_freeMessage(&message);
    MQTTClient_free(topic);
  }
}

int main(int argc, char **argv) {
  MQTTClient subscriber, publisher;
  char id[64];
  int qos, number, count;
  check(argc == 6, "usage", argc);
  version = strcmp(argv[1], "5") == 0 ? MQTTVERSION_5
            : strcmp(argv[1], "31") == 0 ? MQTTVERSION_3_1
                                         : MQTTVERSION_3_1_1;
  count = atoi(argv[5]);
  snprintf(id, sizeof id, "paho-c-sub-%s", argv[1]);
  subscriber = client_at(argv[2], id);
  snprintf(id, sizeof id, "paho-c-pub-%s", argv[1]);
  publisher = client_at(argv[3], id);
  subscribe(subscriber, argv[4]);
  for (qos = 0; qos <= 2; qos++) {
    for (number = 0; number < count; number++) publish(publisher, argv[4], qos, number);
    receive(subscriber, count);
  }
  if (version == MQTTVERSION_5) {
    MQTTClient_disconnect5(publisher, TIMEOUT_MS, MQTTREASONCODE_SUCCESS, NULL);
    MQTTClient_disconnect5(subscriber, TIMEOUT_MS, MQTTREASONCODE_SUCCESS, NULL);
  } else {
    MQTTClient_disconnect(publisher, TIMEOUT_MS);
    MQTTClient_disconnect(subscriber, TIMEOUT_MS);
  }
  puts("done");
  return 0;
}
