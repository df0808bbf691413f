// Style and floors of the dashboard: pages stand on areas, areas on ui and api, and never the other way.
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';

const LONGEST_FILE = 250;

/** Files of `folder` may not import from `forbidden` folders. */
function floor(folder, forbidden) {
  const patterns = forbidden.map((name) => ({
    group: [`**/${name}/**`],
    message: `${folder} does not import ${name}.`,
  }));
  return { files: [`src/${folder}/**`], rules: { 'no-restricted-imports': ['error', { patterns }] } };
}

const areas = ['sign_in', 'chat', 'widgets', 'settings', 'palette'];
const siblings = (name) => areas.filter((other) => other !== name).map((other) => `areas/${other}`);

export default ts.config(
  { ignores: ['src/api/schema.d.ts', 'node_modules', 'src/sw.js'] },
  ts.configs.recommended,
  svelte.configs.recommended,
  {
    languageOptions: { globals: { ...globals.browser, ...globals.node } },
    rules: {
      'max-lines': ['error', { max: LONGEST_FILE }],
      'no-undef': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
      // Everything that reaches {@html} is made by markdown.ts or highlight.ts and is a TrustedHTML.
      'svelte/no-at-html-tags': 'off',
      // The router is our own: links are plain addresses.
      'svelte/no-navigation-without-resolve': 'off',
      // A static style attribute breaks the content security policy.
      'no-restricted-syntax': [
        'error',
        { selector: 'SvelteAttribute[key.name="style"]', message: 'Use a class or style:property.' },
      ],
      // Plain maps and sets are bookkeeping that no page reads; what pages read is state.
      'svelte/prefer-svelte-reactivity': 'off',
    },
  },
  { files: ['**/*.svelte', '**/*.svelte.ts'], languageOptions: { parserOptions: { parser: ts.parser } } },
  { files: ['build/**', 'eslint.config.js'], rules: { 'no-console': 'off' } },
  floor('words', ['api', 'ui', 'areas', 'pages']),
  floor('api', ['ui', 'areas', 'pages']),
  floor('ui', ['api', 'areas', 'pages']),
  ...areas.map((name) => floor(`areas/${name}`, ['pages', ...siblings(name)])),
);
