/** How many connections the open files of the process allow. */
import type { Log } from '../../ports.ts';

/** Open files that are kept for the store, links between nodes and the admin API. */
const FILES_KEPT = 256;

/** Files that the process may have open, sockets among them; undefined where that is not known or not bounded. */
export function openFilesMax(): number | undefined {
  const report: NodeJS.ProcessReport & { excludeNetwork?: boolean } = process.report;
  const { excludeNetwork = false } = report;
  // Names of hosts are looked up otherwise.
  report.excludeNetwork = true;
  try {
    const { userLimits } = report.getReport() as {
      readonly userLimits?: { readonly open_files?: { readonly soft?: unknown } };
    };
    const soft = userLimits?.open_files?.soft;
    return typeof soft === 'number' ? soft : undefined;
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

/** `limits.connections`, or as many as there are files for, which the log then says. */
export function connectionsWithin(asked: number, openFiles: number | undefined, log: Log): number {
  const most = Math.max(1, (openFiles ?? Number.POSITIVE_INFINITY) - FILES_KEPT);
  if (asked <= most) return asked;
  const text =
    'limits.connections is more than open files allow: raise the limit of open files (ulimit -n), or lower limits.connections';
  log('warn', text, { 'limits.connections': asked, openFiles, connections: most });
  return most;
}
