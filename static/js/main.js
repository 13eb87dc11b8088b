// The console's own script: small modules that make a page nicer and that no page needs. Nothing here builds HTML from text:
// what the server sends was escaped there, and all other text goes through textContent.

import { startChat } from "./chat.js";
import { startCopying } from "./copy.js";
import { startDialogs } from "./dialogs.js";
import { startInbox } from "./inbox.js";
import { startKeys } from "./keys.js";
import { startMinimap } from "./minimap.js";
import { startNews } from "./news.js";
import { startPalette } from "./palette.js";
import { startRefreshing } from "./refresh.js";
import { startTheme } from "./theme.js";
import { startTimes } from "./times.js";
import { startToasts } from "./toasts.js";
import { startTranscript } from "./transcript.js";

startTheme();
startTimes();
startKeys();
startDialogs();
startCopying();
startToasts();
startRefreshing();
startPalette();
startInbox();
startTranscript();
startMinimap();
startNews();
startChat();
