/**
 * Exits 0 when the node's /health answers 200: the container's HEALTHCHECK.
 *
 * /health says that the process works, and not that the cluster is whole (that is /ready): an
 * orchestrator that restarts the survivors of a lost node would make an outage of it.
 */
import { get } from 'node:http';

const address = process.env.SHOAL_ADMIN_LISTEN ?? '127.0.0.1:7780';
const request = get(`http://${address}/health`, { timeout: 2000 }, (response) => {
  response.resume();
  process.exitCode = response.statusCode === 200 ? 0 : 1;
});
request.on('timeout', () => request.destroy(new Error('no answer within 2 s')));
request.on('error', (error) => {
  console.error(`${address}: ${error.message}`);
  process.exitCode = 1;
});
