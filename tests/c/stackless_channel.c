/* stackless_channel.c: each function of Stackless's channels, from C. */
#include "stackless.h"

static void
channels_hand_over_in_both_directions (void)
{
  PyChannelObject *channel;
  PyTaskletObject *task;
  PyObject *got, *arguments, *queue, *value;

  enter ();
  run ("got = []\n"
       "def receiver(channel):\n"
       "    for _ in range(2):\n"
       "        got.append(channel.receive())\n"
       "def sender(channel):\n"
       "    channel.send('a')\n"
       "    channel.send('b')\n");
  channel = PyChannel_New (NULL);
  arguments = Py_BuildValue ("(O)", (PyObject *) channel);
  g_assert_cmpint (PyChannel_GetBalance (channel), ==, 0);
  g_assert_null (PyChannel_GetQueue (channel));
  g_assert_null (PyErr_Occurred ());
  task = tasklet_of ("receiver");
  works (PyTasklet_Setup (task, arguments, NULL));
  works (PyTasklet_Run (task));
  g_assert_cmpint (PyChannel_GetBalance (channel), ==, -1);
  queue = PyChannel_GetQueue (channel);
  g_assert_true (queue == (PyObject *) task);
  drop (queue);
  value = PyUnicode_FromString ("x");
  works (PyChannel_Send (channel, value));
  works (PyChannel_Send_nr (channel, value));
  drop (value);
  g_assert_true (evaluate ("got == ['x', 'x']"));
  drop (task);
  task = tasklet_of ("sender");
  works (PyTasklet_Setup (task, arguments, NULL));
  got = PyChannel_Receive (channel);
  g_assert_cmpstr (PyUnicode_AsUTF8 (got), ==, "a");
  drop (got);
  /* The receiver is preferred, so the sender has not come to its second one yet. */
  g_assert_cmpint (PyChannel_GetBalance (channel), ==, 0);
  got = PyChannel_Receive_nr (channel);
  g_assert_true (got != Py_UnwindToken);
  g_assert_cmpstr (PyUnicode_AsUTF8 (got), ==, "b");
  drop (got);
  drop (PyStackless_Schedule (NULL, 0));
  drop (task);
  drop (arguments);
  drop (channel);
  leave ();
}

static void
channels_send_exceptions (void)
{
  PyChannelObject *channel;
  PyTaskletObject *task;
  PyObject *arguments, *value;

  enter ();
  run ("caught = []\n"
       "def receiver(channel):\n"
       "    while len(caught) < 4:\n"
       "        try:\n"
       "            channel.receive()\n"
       "        except Exception as error:\n"
       "            caught.append(repr(error))\n");
  channel = PyChannel_New (NULL);
  arguments = Py_BuildValue ("(O)", (PyObject *) channel);
  task = tasklet_of ("receiver");
  works (PyTasklet_Setup (task, arguments, NULL));
  works (PyTasklet_Run (task));
  works (PyChannel_SendException (channel, PyExc_ValueError, NULL));
  value = Py_BuildValue ("(i)", 3);
  works (PyChannel_SendException_nr (channel, PyExc_ValueError, value));
  drop (value);
  value = PyUnicode_FromString ("key");
  works (PyChannel_SendThrow (channel, PyExc_KeyError, value, NULL));
  works (PyChannel_SendThrow_nr (channel, PyExc_KeyError, value, NULL));
  drop (value);
  g_assert_true (
    evaluate ("caught == ['ValueError()', 'ValueError(3)', \"KeyError('key')\", \"KeyError('key')\"]"));
  fails (PyChannel_SendException (channel, NULL, NULL));
  expect (PyExc_TypeError, NULL);
  fails (PyChannel_SendThrow (channel, NULL, NULL, NULL));
  expect (PyExc_TypeError, NULL);
  drop (task);
  drop (arguments);
  drop (channel);
  leave ();
}

static void
channels_have_settings (void)
{
  PyChannelObject *channel;

  enter ();
  channel = PyChannel_New (NULL);
  g_assert_cmpint (PyChannel_GetPreference (channel), ==, -1);
  PyChannel_SetPreference (channel, 12);
  g_assert_cmpint (PyChannel_GetPreference (channel), ==, 1);
  PyChannel_SetPreference (channel, 0);
  g_assert_cmpint (PyChannel_GetPreference (channel), ==, 0);
  PyChannel_SetPreference (channel, -12);
  g_assert_cmpint (PyChannel_GetPreference (channel), ==, -1);
  g_assert_cmpint (PyChannel_GetScheduleAll (channel), ==, 0);
  PyChannel_SetScheduleAll (channel, 3);
  g_assert_cmpint (PyChannel_GetScheduleAll (channel), ==, 1);
  g_assert_cmpint (PyChannel_GetClosing (channel), ==, 0);
  PyChannel_Close (channel);
  g_assert_cmpint (PyChannel_GetClosing (channel), ==, 1);
  g_assert_cmpint (PyChannel_GetClosed (channel), ==, 1);
  fails (PyChannel_Send (channel, Py_None));
  expect (PyExc_ValueError, "Send/receive operation on a closed channel");
  g_assert_null (PyChannel_Receive (channel));
  expect (PyExc_ValueError, "Send/receive operation on a closed channel");
  PyChannel_Open (channel);
  g_assert_cmpint (PyChannel_GetClosing (channel), ==, 0);
  g_assert_null (PyChannel_Receive (channel));
  expect (PyExc_RuntimeError, NULL);
  drop (channel);
  leave ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define CASE(path, function) g_test_add_func ("/stackless-channel/" path, function)
  CASE ("both-directions", channels_hand_over_in_both_directions);
  CASE ("exceptions", channels_send_exceptions);
  CASE ("settings", channels_have_settings);
#undef CASE
  return run_with_python ();
}
