// How the dashboard is built, served while it is being made, and tested.
import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';
import { budget } from './build/budget.ts';
import { kiraBuild } from './build/kira-build.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const server = process.env.KIRA_DEV_SERVER ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [
    svelte(),
    svelteTesting(),
    kiraBuild({
      icon: 'src/icon.svg',
      worker: 'src/sw.js',
      manifest: {
        name: 'Kira',
        short_name: 'Kira',
        description: 'Your assistant',
        theme_color: '#fbfcfd',
        background_color: '#fbfcfd',
      },
    }),
    budget({ firstLoad: 80 * 1024, lazyChunk: 30 * 1024, requests: 12 }),
  ],
  resolve: { alias: { $: here('./src') } },
  build: {
    outDir: here('../layers/kira/python/kira/local/dashboard'),
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    manifest: true,
    // One style sheet and one chunk of what every page uses: few requests, and nothing shown without its style.
    cssCodeSplit: false,
    rolldownOptions: {
      // On a slow computer it says how long plugins took, which nobody who runs `make run` asked.
      checks: { bundlerTimings: false },
      output: {
        codeSplitting: {
          groups: [
            { name: 'markdown', test: /node_modules\/(marked|dompurify)\/|src\/markdown\.ts/, priority: 2 },
            { name: 'kit', test: /node_modules\/(svelte|esm-env|clsx)\/|src\/(ui|api)\/|src\/words\/(index|api|ui|app)\.ts/, priority: 1 },
          ],
        },
      },
    },
    reportCompressedSize: false,
  },
  server: { proxy: { '/api': server } },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/test-setup.ts'],
  },
});
