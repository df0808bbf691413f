// Entry of the dashboard: theme first, then the page, then who is signed in, and the offline shell last.
import './app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { watchConnection } from './connection.svelte';
import { startRouter } from './router';
import { startSession } from './session.svelte';
import { announceTab } from './tabs';
import { applyRememberedTheme } from './theme';
import { registerWorker } from './worker';

applyRememberedTheme();
startRouter();
watchConnection();
announceTab();
void startSession();
mount(App, { target: document.getElementById('app') as HTMLElement });
if (import.meta.env.PROD) registerWorker();
