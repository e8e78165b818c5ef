// Wakes the behaviour every page may have. Pages add their own modules in the scripts block.
import { wakeCharts } from "./charts.js";
import { wakeConfirm } from "./confirm.js";
import { wakeCopy } from "./copy.js";
import { wakeScroll } from "./scroll.js";
import { wakeTheme } from "./theme.js";
import { wakeToasts } from "./toast.js";
import { wakeWhy } from "./why.js";

wakeTheme();
wakeToasts();
wakeCopy();
wakeConfirm();
wakeCharts();
wakeScroll();
wakeWhy();
