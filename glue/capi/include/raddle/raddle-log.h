/* raddle-log.h: logging to Python from threads that must not wait for it. Include <raddle/raddle.h>. */
#ifndef RADDLE_LOG_H
#define RADDLE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <raddle/raddle-macros.h>
#include <raddle/raddle-status.h>

RADDLE_BEGIN_DECLS

/**
 * RaddleLogLevel:
 * @RADDLE_LOG_TRACE: below what Python's logging names
 * @RADDLE_LOG_DEBUG: logging.DEBUG
 * @RADDLE_LOG_INFO: logging.INFO
 * @RADDLE_LOG_WARNING: logging.WARNING
 * @RADDLE_LOG_ERROR: logging.ERROR
 * @RADDLE_LOG_CRITICAL: logging.CRITICAL
 *
 * Levels with a name. Any other number that Python's logging knows may be
 * passed as well.
 *
 * Since: 0.1
 */
typedef enum {
  RADDLE_LOG_TRACE = 5,
  RADDLE_LOG_DEBUG = 10,
  RADDLE_LOG_INFO = 20,
  RADDLE_LOG_WARNING = 30,
  RADDLE_LOG_ERROR = 40,
  RADDLE_LOG_CRITICAL = 50
} RaddleLogLevel;

/**
 * RaddleLogTarget:
 * @threshold: the lowest level that the logger wants; read it by
 *   raddle_log_target_wants() only
 *
 * One of Python's loggers, as native code sees it. Lives as long as the process.
 *
 * Since: 0.1
 */
typedef struct {
  int32_t threshold;
} RaddleLogTarget;

/**
 * raddle_log_target:
 * @domain: (nullable): a logger's name, in UTF-8; %NULL or "" for the root
 *
 * Finds the target of a logger, or makes it: names are for places in a
 * program, not for data, as a target is never freed.
 *
 * Returns: (transfer none): the target, never %NULL
 *
 * Thread: any, before start and after stop too. Never waits.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
const RaddleLogTarget *raddle_log_target (const char *domain);

/**
 * raddle_log_target_wants:
 * @target: (nullable): a target
 * @level: a level
 *
 * Returns: whether a record of @level would be wanted: what the logger's
 *   isEnabledFor() says, as of the last change that raddle has seen. One load.
 *   Yes, as long as Python was not asked.
 *
 * Thread: any.
 *
 * Since: 0.1
 */
static inline bool
raddle_log_target_wants (const RaddleLogTarget *target,
                         int                    level)
{
  return target && level >= __atomic_load_n (&target->threshold, __ATOMIC_RELAXED);
}

/**
 * raddle_log_enabled:
 * @level: a level
 * @domain: (nullable): a logger's name
 *
 * raddle_log_target_wants() by the name.
 *
 * Returns: whether a record would be wanted
 *
 * Thread: any, before start and after stop too. Never waits.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
bool          raddle_log_enabled    (int         level,
                                     const char *domain);

/**
 * raddle_log:
 * @level: a level
 * @domain: (nullable): a logger's name; %NULL or "" for the root
 * @file: (nullable): the source file
 * @line: the line in it
 * @func: (nullable): the function
 * @format: (nullable): a format of printf's; %NULL logs nothing
 *
 * Pushes a record to Python's logging: with this thread, this moment and this
 * place. It takes no lock and never waits, for Python or for anybody; a record
 * that is longer than 370 bytes costs an allocation. If 4096 records wait
 * already, it is dropped and counted. Text that is not UTF-8 is replaced.
 *
 * Records that are pushed before Python's start wait for it; after
 * raddle_log_stop() or Python's end they go to stderr, a line each.
 *
 * Thread: any, before start and after stop too, in a handler of the log's own
 *   (counted, and not handed over), but not in a signal handler.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void          raddle_log            (int         level,
                                     const char *domain,
                                     const char *file,
                                     int         line,
                                     const char *func,
                                     const char *format,
                                     ...) __attribute__ ((format (printf, 6, 7)));

/**
 * raddle_log_va:
 * @level: a level
 * @domain: (nullable): a logger's name
 * @file: (nullable): the source file
 * @line: the line in it
 * @func: (nullable): the function
 * @format: (nullable): a format of printf's
 * @arguments: what it formats
 *
 * raddle_log() for those that have a va_list.
 *
 * Thread: as raddle_log().
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void          raddle_log_va         (int         level,
                                     const char *domain,
                                     const char *file,
                                     int         line,
                                     const char *func,
                                     const char *format,
                                     va_list     arguments) __attribute__ ((format (printf, 6, 0)));

/**
 * RaddleLogKind:
 * @RADDLE_LOG_NONE: None
 * @RADDLE_LOG_BOOL: a bool; @integer
 * @RADDLE_LOG_INTEGER: an int; @integer
 * @RADDLE_LOG_UNSIGNED: an int; @unsigned_integer
 * @RADDLE_LOG_FLOAT: a float; @number
 * @RADDLE_LOG_TEXT: a str; @text, of @length bytes, or up to its NUL if @length
 *   is negative
 * @RADDLE_LOG_BYTES: bytes; @text, of @length bytes
 *
 * Of which type a field is in Python.
 *
 * Since: 0.1
 */
typedef enum {
  RADDLE_LOG_NONE = 0,
  RADDLE_LOG_BOOL = 1,
  RADDLE_LOG_INTEGER = 2,
  RADDLE_LOG_UNSIGNED = 3,
  RADDLE_LOG_FLOAT = 4,
  RADDLE_LOG_TEXT = 5,
  RADDLE_LOG_BYTES = 6
} RaddleLogKind;

/**
 * RaddleLogField:
 * @name: its name; a field without one is left out
 * @kind: a #RaddleLogKind
 * @length: how long @text is
 * @integer: a value
 * @unsigned_integer: a value
 * @number: a value
 * @text: a value
 *
 * A structured field: an attribute of the LogRecord. One whose name a LogRecord
 * has itself gets a "_" behind it.
 *
 * Since: 0.1
 */
typedef struct {
  const char *name;
  int32_t     kind;
  int64_t     length;
  int64_t     integer;
  uint64_t    unsigned_integer;
  double      number;
  const char *text;
} RaddleLogField;

/**
 * raddle_log_message:
 * @level: a level
 * @domain: (nullable): a logger's name
 * @file: (nullable): the source file
 * @line: the line in it
 * @func: (nullable): the function
 * @message: (nullable): what is to be read, as it is; %NULL logs nothing
 * @fields: (nullable) (array length=n_fields): fields
 * @n_fields: how many
 *
 * raddle_log() without a format, and with fields.
 *
 * Thread: as raddle_log().
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
void          raddle_log_message    (int                   level,
                                     const char           *domain,
                                     const char           *file,
                                     int                   line,
                                     const char           *func,
                                     const char           *message,
                                     const RaddleLogField *fields,
                                     size_t                n_fields);

/**
 * raddle_log_start:
 *
 * Starts the worker that hands records to Python, unless it is there. The
 * first record after Python's start does so by itself.
 *
 * Returns: %RADDLE_STATUS_OK; %RADDLE_STATUS_NOT_STARTED or
 *   %RADDLE_STATUS_CLOSED if no runtime is open; %RADDLE_STATUS_NO_MEMORY
 *
 * Thread: any.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_log_start      (void);

/**
 * raddle_log_flush:
 * @timeout_ms: how long to wait at most; negative for as long as it takes
 *
 * Waits until every record that was pushed before is handed over. Gives Python
 * up meanwhile, if this thread holds it. A record that was dropped is not
 * waited for.
 *
 * Returns: %RADDLE_STATUS_OK if all are, %RADDLE_STATUS_BUSY if not
 *
 * Thread: any; in a handler of the log's own it does not wait.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_log_flush      (int64_t timeout_ms);

/**
 * raddle_log_stop:
 * @timeout_ms: how long to wait at most; negative for as long as it takes
 *
 * Hands over what waits and ends the worker. What could not be handed over in
 * time goes to stderr, and so do later records, until raddle_log_start() or the
 * next start of Python. The end of Python does this by itself, as its last exit
 * stopper. Gives Python up meanwhile, if this thread holds it.
 *
 * Returns: %RADDLE_STATUS_OK if all was handed over, %RADDLE_STATUS_BUSY if not
 *
 * Thread: any; in a handler of the log's own it does not wait.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_log_stop       (int64_t timeout_ms);

/**
 * RaddleLogStats:
 * @handed: records that were handed to a logger
 * @errors: of these, those with which a handler, a filter or a factory raised
 * @waiting: records in the ring
 * @looped: records that a handler of the worker's made, and that were refused
 * @elsewhere: records that were written to stderr
 * @lost: records that could not even be written there without waiting
 * @dropped: records that found the ring full: those below DEBUG, INFO, WARNING,
 *   ERROR and CRITICAL, and from CRITICAL on
 *
 * What became of the records of this process so far.
 *
 * Since: 0.1
 */
typedef struct {
  uint64_t handed;
  uint64_t errors;
  uint64_t waiting;
  uint64_t looped;
  uint64_t elsewhere;
  uint64_t lost;
  uint64_t dropped[6];
} RaddleLogStats;

/**
 * raddle_log_get_stats:
 * @out: (out caller-allocates): where to put the figures; written only on success
 *
 * Returns: %RADDLE_STATUS_OK or %RADDLE_STATUS_NULL
 *
 * Thread: any, before start and after stop too.
 *
 * Since: 0.1
 */
RADDLE_AVAILABLE_IN_0_1
RaddleStatus  raddle_log_get_stats  (RaddleLogStats *out);

/* The logger that the macros below name: define it before the include. */
#ifndef RADDLE_LOG_DOMAIN
# define RADDLE_LOG_DOMAIN ""
#endif

/* RADDLE_LOG (level, format, ...): raddle_log() from here, and nothing but one load if it is not
 * wanted. Nothing is formatted then, and no argument looked at. */
#define RADDLE_LOG(level, ...)                                                             \
  do                                                                                       \
    {                                                                                      \
      static const RaddleLogTarget *raddle_log_target_;                                    \
      const RaddleLogTarget *target_ = __atomic_load_n (&raddle_log_target_, __ATOMIC_ACQUIRE); \
      if (!target_)                                                                        \
        {                                                                                  \
          target_ = raddle_log_target (RADDLE_LOG_DOMAIN);                                 \
          __atomic_store_n (&raddle_log_target_, target_, __ATOMIC_RELEASE);               \
        }                                                                                  \
      if (raddle_log_target_wants (target_, (level)))                                      \
        raddle_log ((level), RADDLE_LOG_DOMAIN, __FILE__, __LINE__, __func__, __VA_ARGS__); \
    }                                                                                      \
  while (0)

#define RADDLE_TRACE(...) RADDLE_LOG (RADDLE_LOG_TRACE, __VA_ARGS__)
#define RADDLE_DEBUG(...) RADDLE_LOG (RADDLE_LOG_DEBUG, __VA_ARGS__)
#define RADDLE_INFO(...) RADDLE_LOG (RADDLE_LOG_INFO, __VA_ARGS__)
#define RADDLE_WARNING(...) RADDLE_LOG (RADDLE_LOG_WARNING, __VA_ARGS__)
#define RADDLE_ERROR(...) RADDLE_LOG (RADDLE_LOG_ERROR, __VA_ARGS__)
#define RADDLE_CRITICAL(...) RADDLE_LOG (RADDLE_LOG_CRITICAL, __VA_ARGS__)

RADDLE_END_DECLS

#endif /* RADDLE_LOG_H */
