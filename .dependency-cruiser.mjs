export default {
  forbidden: [
    {
      name: 'no-node-in-core',
      severity: 'error',
      from: { path: '/core/', pathNot: '[.]test[.]ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'swim-below-broker',
      severity: 'error',
      from: { path: '^packages/swim' },
      to: { path: '^packages/(broker|cli)' },
    },
    {
      name: 'probe-cross',
      severity: 'warn',
      from: { path: '^packages/broker' },
      to: { path: '^packages/swim' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
  ],
  options: {
    tsPreCompilationDeps: true,
    exclude: '/dist/',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['shoal-source', 'import', 'types', 'node'],
      extensions: ['.ts', '.js'],
    },
  },
};
