import { BaseCommand } from '../../base-command.ts';

export default class ConfigReference extends BaseCommand {
  static override summary = 'Print every key with type, default, range and meaning.';
  static override description = 'Prints Markdown; with --json, a JSON Schema for editors.';
  static override examples = [
    '<%= config.bin %> config reference',
    '<%= config.bin %> config reference --json > shoal.schema.json',
  ];

  override async run(): Promise<Record<string, unknown>> {
    await this.parse(ConfigReference);
    const { configJsonSchema, configReference } = await import('@shoal/broker');
    if (!this.jsonEnabled()) process.stdout.write(configReference());
    return configJsonSchema();
  }
}
