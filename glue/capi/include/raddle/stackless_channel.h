/* stackless_channel.h: Stackless Python's channels in C. What holds for all of it stands in stackless_api.h. */
#ifndef RADDLE_STACKLESS_CHANNEL_H
#define RADDLE_STACKLESS_CHANNEL_H

#include <Python.h>

#include <raddle/raddle-macros.h>

RADDLE_BEGIN_DECLS

/**
 * PyChannelObject:
 *
 * A channel: may be cast to and from `PyObject *`, has no fields that C may look at, and is derived from as
 * #PyTaskletObject is.
 *
 * Since: 0.1
 */
typedef struct _channel PyChannelObject;

/* The type of channels. %NULL before Python has loaded raddle, and once its exit handlers have run;
 * another one after Python was restarted. */
RADDLE_AVAILABLE_IN_0_1
extern PyTypeObject *PyChannel_TypePtr;

#define PyChannel_Type (*PyChannel_TypePtr)
#define PyChannel_Check(op) PyObject_TypeCheck ((PyObject *) (op), PyChannel_TypePtr)
#define PyChannel_CheckExact(op) (Py_TYPE ((PyObject *) (op)) == PyChannel_TypePtr)

/**
 * PyChannel_New:
 * @type: (nullable): derived from PyChannel_Type, or %NULL for that
 *
 * Returns: (transfer full): a channel, or %NULL: `TypeError` for another type
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyChannelObject *PyChannel_New (PyTypeObject *type);

/**
 * PyChannel_Send:
 * @self: a channel
 * @arg: (nullable): what to send; %NULL is `None`
 *
 * Hands it to who has waited longest to receive, or waits for somebody.
 *
 * Returns: 0, or -1: `ValueError` on a closed channel, `RuntimeError` where nobody could ever receive or
 *   a trap is set; what was raised in the caller meanwhile
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_Send (PyChannelObject *self, PyObject *arg);
RADDLE_AVAILABLE_IN_0_1
int PyChannel_Send_nr (PyChannelObject *self, PyObject *arg);

/**
 * PyChannel_Receive:
 * @self: a channel
 *
 * Takes what the one who has waited longest sends, or waits for somebody.
 *
 * Returns: (transfer full): what was sent, or %NULL: as PyChannel_Send(), or the exception that was sent
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyChannel_Receive (PyChannelObject *self);
RADDLE_AVAILABLE_IN_0_1
PyObject *PyChannel_Receive_nr (PyChannelObject *self);

/**
 * PyChannel_SendException:
 * @self: a channel
 * @klass: an exception's class
 * @value: (nullable): a tuple of its arguments, or one argument; %NULL for none
 *
 * Has `klass(*value)` raised in who receives.
 *
 * Returns: 0, or -1: as PyChannel_Send(); `TypeError`
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_SendException (PyChannelObject *self, PyObject *klass, PyObject *value);
RADDLE_AVAILABLE_IN_0_1
int PyChannel_SendException_nr (PyChannelObject *self, PyObject *klass, PyObject *value);

/**
 * PyChannel_SendThrow:
 * @self: a channel
 * @exc: an exception, or its class
 * @val: (nullable): what `raise` takes for the second part
 * @tb: (nullable): a traceback
 *
 * Has an exception raised in who receives.
 *
 * Returns: 0, or -1: as PyChannel_Send(); `TypeError`
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_SendThrow (PyChannelObject *self, PyObject *exc, PyObject *val, PyObject *tb);
RADDLE_AVAILABLE_IN_0_1
int PyChannel_SendThrow_nr (PyChannelObject *self, PyObject *exc, PyObject *val, PyObject *tb);

/**
 * PyChannel_GetQueue:
 * @self: a channel
 *
 * Returns: (transfer full) (nullable): the tasklet that has waited longest; %NULL, with no exception, if
 *   nobody waits
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
PyObject *PyChannel_GetQueue (PyChannelObject *self);

/**
 * PyChannel_Close:
 * @self: a channel
 *
 * Lets nobody wait at it any more. Who waits already may still be met.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void PyChannel_Close (PyChannelObject *self);

/**
 * PyChannel_Open:
 * @self: a channel
 *
 * Takes PyChannel_Close() back.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void PyChannel_Open (PyChannelObject *self);

/**
 * PyChannel_GetClosing:
 * @self: a channel
 *
 * Returns: 1 if it was closed, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_GetClosing (PyChannelObject *self);

/**
 * PyChannel_GetClosed:
 * @self: a channel
 *
 * Returns: 1 if it was closed and nobody waits at it, 0 if not, -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_GetClosed (PyChannelObject *self);

/**
 * PyChannel_GetPreference:
 * @self: a channel
 *
 * Returns: who goes on at once when two meet: -1 the receiver (so it begins), 1 the sender, 0 the one
 *   who came last. A failure is -1 with an exception: ask PyErr_Occurred().
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_GetPreference (PyChannelObject *self);

/**
 * PyChannel_SetPreference:
 * @self: a channel
 * @val: below, at or above 0, as PyChannel_GetPreference() says. Between threads it has no effect.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void PyChannel_SetPreference (PyChannelObject *self, int val);

/**
 * PyChannel_GetScheduleAll:
 * @self: a channel
 *
 * Returns: 1 if whoever meets somebody lets all others run first, whatever the preference; 0 if not; -1
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_GetScheduleAll (PyChannelObject *self);

/**
 * PyChannel_SetScheduleAll:
 * @self: a channel
 * @val: as PyChannel_GetScheduleAll() says
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void PyChannel_SetScheduleAll (PyChannelObject *self, int val);

/**
 * PyChannel_GetBalance:
 * @self: a channel
 *
 * Returns: how many wait to send; below 0, how many wait to receive. A failure is -1 with an exception:
 *   ask PyErr_Occurred().
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
int PyChannel_GetBalance (PyChannelObject *self);

RADDLE_END_DECLS

#endif /* RADDLE_STACKLESS_CHANNEL_H */
