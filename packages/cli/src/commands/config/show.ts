import { BaseCommand } from '../../base-command.ts';
import { configFlags, readConfigWithOrigins } from '../../config-flags.ts';

type Shown = Record<string, { readonly value: unknown; readonly origin: string }>;

export default class ConfigShow extends BaseCommand {
  static override summary = 'Show every value and where it comes from.';
  static override description =
    'Takes the flags and the environment of `start`. Origins are default, file, environment and flag; a later one overrides an earlier one.';
  static override examples = ['<%= config.bin %> config show --config shoal.yaml'];
  static override flags = configFlags;

  override async run(): Promise<Shown> {
    const { flags } = await this.parse(ConfigShow);
    const { config, origins } = await readConfigWithOrigins(flags);
    const sections = config as unknown as Record<string, Record<string, unknown>>;
    const shown: Shown = {};
    for (const [key, origin] of origins) {
      const [section = '', leaf = ''] = key.split('.');
      shown[key] = { value: sections[section]?.[leaf] ?? null, origin };
    }
    if (!this.jsonEnabled()) await this.#print(shown);
    return shown;
  }

  async #print(shown: Shown): Promise<void> {
    const { formatTable } = await import('../../format.ts');
    const rows = Object.entries(shown).map(([key, { value, origin }]) => [
      key,
      shownValue(value),
      origin,
    ]);
    this.log(await formatTable(['KEY', 'VALUE', 'FROM'], rows));
  }
}

function shownValue(value: unknown): string {
  if (value === null) return '-';
  if (Array.isArray(value)) return value.map(shownValue).join(', ') || '-';
  if (typeof value === 'object') return Object.values(value).map(String).join(' ');
  return String(value);
}
