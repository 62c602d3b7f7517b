/* weaver.h: the thread that Python's tasklets weave on. */
#ifndef WINDOW_WEAVER_H
#define WINDOW_WEAVER_H

#include <stdbool.h>
#include <glib.h>

typedef struct _Weaver Weaver;

/* Starts the thread, with a main loop of its own. */
Weaver *weaver_new  (void);

/* Ends the tasklets, the loop and the thread. Returns false if that takes longer, since somebody does
 * not let go of Python: then the weaver is left behind. */
bool    weaver_end  (Weaver *self, gint64 within_us);

#endif /* WINDOW_WEAVER_H */
