import assert from 'node:assert/strict';
import { TestNodes } from './nodes.ts';

const SETTINGS = { replicas: 3, shardCount: 1 };

describe('a leader that was cut off', () => {
  it('routes nothing when it hears its voters again, before it has heard of its successor', () => {
    const nodes = new TestNodes();
    const cores = ['n1', 'n2', 'n3', 'n4'].map((name) => nodes.add(name, SETTINGS));
    nodes.advance(15_000);
    const leads = (core: (typeof cores)[number]) => core.shards.led.size === 1;
    const old = cores.find(leads)!;
    const others = cores.filter((core) => core !== old);
    const holds = ({ name }: { name: string }) =>
      old.shards.copies[0]!.isActive(`${name}#store-${name}`);
    // The fourth node holds no copy yet, so that the old leader will not miss it.
    const heir = others.find((core) => !holds(core))!;
    for (const { name } of others) nodes.cut(old.name, name);
    nodes.membersAre(
      { [old.name]: 'faulty' },
      others.map(({ name }) => name),
    );
    nodes.advance(20_000);
    const next = others.find(leads)!;
    const { number } = next.shards.copies[0]!.view;
    heir.shards.copies[0]!.onMessage(number.leader, { type: 'handover', number });
    nodes.advance(400);
    assert.ok(leads(heir));
    assert.ok(leads(old));

    let routable = 0;
    let heard = false;
    nodes.onAdvance = () => {
      if (old.views.leader(0) !== old.name) heard = true;
      if (!heard && old.routable) routable++;
    };
    nodes.membersAre({});
    for (const core of others) if (core !== heir) nodes.link(old.name, core.name);
    nodes.advance(3000);
    assert.equal(routable, 0);
    assert.ok(heard);
  });
});
