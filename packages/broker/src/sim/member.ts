/** Cluster address of a simulated node. */
export function addressOf(name: string): string {
  return `${name}:7000`;
}

export function nameOf(address: string): string {
  return address.slice(0, address.indexOf(':'));
}
