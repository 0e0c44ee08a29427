/** What the demo says when it leaves the cluster to its visitor. Pure. */

export interface NodeAddresses {
  readonly name: string;
  readonly pid: number;
  readonly mqtt: string;
  readonly admin: string;
}

/** @param nodes at least two that run */
export function farewell(nodes: readonly NodeAddresses[], folder: string): string {
  const [first, second] = nodes as readonly [NodeAddresses, NodeAddresses];
  const list = nodes.map(
    ({ name, pid, mqtt, admin }) => `  ${name}  pid ${pid}  MQTT ${mqtt}  admin http://${admin}`,
  );
  const at = (address: string) => {
    const colon = address.lastIndexOf(':');
    return `-h ${address.slice(0, colon)} -p ${address.slice(colon + 1)}`;
  };
  return [
    'The cluster stays up until you press Ctrl-C. Try it:',
    '',
    ...list,
    '',
    'Subscribe through one node, stop with Ctrl-C, and come back through any other:',
    `  mosquitto_sub ${at(first.mqtt)} -i me -c -q 1 -t 'hello/#'`,
    `  mosquitto_pub ${at(second.mqtt)} -q 1 -t hello/world -m 'are you there?'`,
    `  mosquitto_sub ${at(second.mqtt)} -i me -c -q 1 -t 'hello/#'`,
    '',
    'The same with MQTT.js:',
    `  const client = mqtt.connect('mqtt://${first.mqtt}', { clientId: 'me', clean: false });`,
    '',
    'Look at it, and break it:',
    `  npx shoal cluster status --admin http://${first.admin}`,
    `  npx shoal session explain me --admin http://${first.admin}`,
    `  kill -9 ${second.pid}`,
    '',
    `Logs and data are in ${folder}`,
  ].join('\n');
}
