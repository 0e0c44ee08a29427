import { BaseCommand } from '../../base-command.ts';
import { configFlags, readConfig } from '../../config-flags.ts';

export default class ConfigCheck extends BaseCommand {
  static override summary = 'Check a configuration without starting.';
  static override description =
    'Takes the flags and the environment of `start` and names every mistake at once. Reads the keyring file, unless the data folder already has a keyring. Neither opens the store nor listens.';
  static override examples = [
    '<%= config.bin %> config check --config shoal.yaml',
    '<%= config.bin %> config check --config shoal.yaml --set cluster.replicas=5',
  ];
  static override flags = configFlags;

  override async run(): Promise<{ valid: true }> {
    const { flags } = await this.parse(ConfigCheck);
    const { cluster, data } = await readConfig(flags);
    const { checkKeyring } = await import('@shoal/broker');
    await checkKeyring(data.dir, cluster.keyringFile);
    this.log('The configuration is valid.');
    return { valid: true };
  }
}
