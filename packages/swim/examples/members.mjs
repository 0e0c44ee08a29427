// node members.mjs a 7946                   one terminal
// node members.mjs b 7947 127.0.0.1:7946    another; then end one of them
import { SwimAgent, swimConfig } from '@shoal/swim';

const [name = 'a', port = '0', ...seeds] = process.argv.slice(2);
const agent = await SwimAgent.start({
  ...{ config: swimConfig(), name, bootEpoch: Date.now(), meta: new Uint8Array(), seeds },
  clusterId: seeds.length === 0 ? 'example' : '',
  listen: `127.0.0.1:${port}`,
  onMembers: (members) => console.log(...members.map((each) => `${each.name}=${each.state}`)),
});
console.log('listening on', agent.address);
process.once('SIGINT', async () => process.exit(await agent.leave()));
