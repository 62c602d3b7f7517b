//! Exit stoppers: in their stages, once, by their deadlines, and in nobody's way. Each test is a
//! process of its own.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, helpers of tests too")]

use std::io::Write as _;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use raddle::relay::stopper::{PATIENCE, Stage, Stopper, at_exit};
use raddle::{Closed, Options, Status, StopError, enter};
use raddle_tests::python::{run, start};
use raddle_tests::{Child, in_child, spawn};

/// A stopper that notes its name.
fn noting(notes: &Sender<String>, stage: Stage, name: &'static str) -> Stopper {
    let notes = notes.clone();
    at_exit(stage, name, PATIENCE, move || notes.send(name.to_owned()).unwrap()).unwrap()
}

/// Sends when it is dropped: what a destroy notify is in C.
struct Dropped(Sender<String>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.send("dropped".to_owned()).unwrap();
    }
}

#[test]
fn stages_run_in_order_and_the_newest_of_each_first() {
    in_child("stages_run_in_order_and_the_newest_of_each_first", || {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        for (stage, name) in [
            (Stage::Log, "log"),
            (Stage::Pools, "old pool"),
            (Stage::Refuse, "old refuse"),
            (Stage::Completions, "completions"),
            (Stage::Refuse, "new refuse"),
            (Stage::Pools, "new pool"),
        ] {
            noting(&notes, stage, name).keep();
        }
        drop(notes);
        runtime.stop(None).unwrap();
        let noted: Vec<String> = noted.iter().collect();
        let order = ["new refuse", "old refuse", "new pool", "old pool", "completions", "log"];
        assert_eq!(noted, order);
    });
}

#[test]
fn the_gate_is_open_while_they_run_and_closed_afterwards() {
    in_child("the_gate_is_open_while_they_run_and_closed_afterwards", || {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        at_exit(Stage::Log, "enters", PATIENCE, move || {
            assert!(!raddle::gate::is_held());
            let other = spawn("other", || enter(|_| "in"));
            notes.send((enter(|_| "in"), other.join().unwrap())).unwrap();
        })
        .unwrap()
        .keep();
        runtime.stop(None).unwrap();
        assert_eq!(noted.recv(), Ok((Ok("in"), Ok("in"))));
        assert_eq!(enter(|_| ()), Err(Closed::Stopped));
    });
}

#[test]
fn python_threads_may_end_between_the_first_stage_and_the_others() {
    in_child("python_threads_may_end_between_the_first_stage_and_the_others", || {
        let runtime = start(&Options::new());
        run("
import builtins, threading
builtins.go, builtins.notes = threading.Event(), []
def work():
    go.wait()
    notes.append('the thread has ended')
threading.Thread(target=work).start()");
        at_exit(Stage::Refuse, "wake", PATIENCE, || drop(run("go.set()"))).unwrap().keep();
        let (notes, noted) = mpsc::channel();
        at_exit(Stage::Pools, "pool", PATIENCE, move || notes.send(run("r = notes")).unwrap())
            .unwrap()
            .keep();
        runtime.stop(None).unwrap();
        assert_eq!(noted.recv().unwrap(), "['the thread has ended']");
    });
}

#[test]
fn one_that_is_removed_does_not_run_and_is_dropped_once() {
    in_child("one_that_is_removed_does_not_run_and_is_dropped_once", || {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        let stopper = |name| {
            let owned = Dropped(notes.clone());
            at_exit(Stage::Pools, name, PATIENCE, move || owned.0.send("run".to_owned()).unwrap())
                .unwrap()
        };
        assert!(stopper("removed").remove());
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), ["dropped"]);
        drop(stopper("guarded"));
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), ["dropped"]);
        let kept = stopper("kept");
        runtime.stop(None).unwrap();
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), ["run", "dropped"]);
        assert!(!kept.remove());
    });
}

#[test]
fn one_that_hangs_is_named_and_left_behind_and_the_others_run() {
    let name = "one_that_hangs_is_named_and_left_behind_and_the_others_run";
    let seen = Child::new(name).run(|| {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        noting(&notes, Stage::Pools, "older").keep();
        let patience = Duration::from_millis(50);
        at_exit(Stage::Pools, "the hanging pool", patience, std::thread::park).unwrap().keep();
        let begun = Instant::now();
        runtime.stop(None).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(20));
        assert_eq!(noted.recv().unwrap(), "older");
    });
    if let Some(seen) = seen {
        seen.assert_success();
        let line = "raddle: the exit stopper 'the hanging pool' has not ended after 50ms";
        assert!(seen.stderr.contains(line), "{}", seen.story());
    }
}

#[test]
fn what_fails_is_reported_by_name_and_the_others_run() {
    let name = "what_fails_is_reported_by_name_and_the_others_run";
    let seen = Child::new(name).run(|| {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        noting(&notes, Stage::Pools, "older").keep();
        let fails = || Err::<(), _>("the disk is full");
        at_exit(Stage::Pools, "saver", PATIENCE, fails).unwrap().keep();
        at_exit(Stage::Pools, "panicker", PATIENCE, move || {
            assert!(notes.send(String::new()).is_err());
        })
        .unwrap()
        .keep();
        runtime.stop(None).unwrap();
        assert_eq!(noted.iter().collect::<Vec<_>>(), ["", "older"]);
    });
    if let Some(seen) = seen {
        seen.assert_success();
        for line in ["the exit stopper 'saver'", "RuntimeError: the disk is full"] {
            assert!(seen.stderr.contains(line), "{}", seen.story());
        }
        for line in ["the exit stopper 'panicker'", "RuntimeError: panicked: assertion failed"] {
            assert!(seen.stderr.contains(line), "{}", seen.story());
        }
    }
}

#[test]
fn a_stop_that_has_no_more_time_names_it_and_goes_on_when_called_again() {
    in_child("a_stop_that_has_no_more_time_names_it_and_goes_on_when_called_again", || {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        noting(&notes, Stage::Log, "log").keep();
        let (end, may_end) = mpsc::channel::<()>();
        at_exit(Stage::Pools, "slow pool", Duration::MAX, move || may_end.recv().unwrap())
            .unwrap()
            .keep();
        match runtime.stop(Some(Duration::from_millis(20))) {
            Err(StopError::Busy(who)) => {
                assert_eq!(who.len(), 1, "{who:?}");
                assert_eq!(who[0].name, "the exit stopper 'slow pool'");
            }
            other => panic!("not busy: {other:?}"),
        }
        assert!(runtime.is_open(), "the stoppers that are left may need Python");
        assert!(noted.try_recv().is_err());
        end.send(()).unwrap();
        runtime.stop(None).unwrap();
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), ["log"]);
    });
}

#[test]
fn one_left_behind_inside_python_is_waited_for_like_anybody_inside() {
    in_child("one_left_behind_inside_python_is_waited_for_like_anybody_inside", || {
        let runtime = start(&Options::new());
        let (end, may_end) = mpsc::channel::<()>();
        let hang = move || enter(|_| raddle::release(move || may_end.recv().unwrap()));
        at_exit(Stage::Pools, "insider", Duration::from_millis(10), hang).unwrap().keep();
        match runtime.stop(Some(Duration::from_secs(1))) {
            Err(StopError::Busy(who)) => assert!(who[0].name.contains("stop insider"), "{who:?}"),
            other => panic!("not busy: {other:?}"),
        }
        assert!(!runtime.is_open());
        end.send(()).unwrap();
        runtime.stop(None).unwrap();
    });
}

#[test]
fn one_added_while_stopping_runs_if_its_stage_is_still_to_come() {
    in_child("one_added_while_stopping_runs_if_its_stage_is_still_to_come", || {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        let theirs = notes.clone();
        let older = noting(&notes, Stage::Pools, "taken back");
        at_exit(Stage::Pools, "adds", PATIENCE, move || {
            noting(&theirs, Stage::Log, "later").keep();
            for stage in [Stage::Refuse, Stage::Pools] {
                let owned = Dropped(theirs.clone());
                let late = at_exit(stage, "late", PATIENCE, move || drop(owned)).unwrap_err();
                assert_eq!(late.status(), Status::Closed, "{late}");
            }
            assert!(older.remove());
        })
        .unwrap()
        .keep();
        drop(notes);
        runtime.stop(None).unwrap();
        assert_eq!(noted.iter().collect::<Vec<_>>(), ["dropped", "dropped", "later"]);
    });
}

#[test]
fn one_that_stops_python_itself_is_refused() {
    in_child("one_that_stops_python_itself_is_refused", || {
        let runtime = start(&Options::new());
        let theirs = runtime.clone();
        let (notes, noted) = mpsc::channel();
        let stop = move || notes.send(theirs.stop(None).unwrap_err().status()).unwrap();
        at_exit(Stage::Pools, "stops", PATIENCE, stop).unwrap().keep();
        runtime.stop(None).unwrap();
        assert_eq!(noted.recv(), Ok(Status::WrongThread));
    });
}

#[test]
fn a_restart_begins_with_an_empty_list() {
    in_child("a_restart_begins_with_an_empty_list", || {
        let (notes, noted) = mpsc::channel();
        for _ in 0..3 {
            let runtime = start(&Options::new());
            let stopper = noting(&notes, Stage::Refuse, "once");
            runtime.stop(None).unwrap();
            let late = at_exit(Stage::Log, "late", PATIENCE, || ()).unwrap_err();
            assert_eq!(late.status(), Status::Closed);
            assert!(!stopper.remove());
        }
        assert_eq!(noted.try_iter().count(), 3);
    });
}

#[test]
fn nothing_is_registered_before_the_start_or_without_a_name_or_time() {
    in_child("nothing_is_registered_before_the_start_or_without_a_name_or_time", || {
        let add = |name: &str, patience| {
            at_exit(Stage::Pools, name, patience, || ()).map(drop).map_err(|error| error.status())
        };
        assert_eq!(add("early", PATIENCE), Err(Status::NotStarted));
        let runtime = start(&Options::new());
        assert_eq!(add("", PATIENCE), Err(Status::Invalid));
        assert_eq!(add("hasty", Duration::ZERO), Err(Status::Invalid));
        assert_eq!(add("fine\0?", PATIENCE), Ok(()));
        runtime.stop(None).unwrap();
    });
}

#[test]
fn an_abandon_drops_them_and_ends_a_stop_that_waits_for_one() {
    in_child("an_abandon_drops_them_and_ends_a_stop_that_waits_for_one", || {
        let runtime = start(&Options::new());
        let (notes, noted) = mpsc::channel();
        let owned = Dropped(notes.clone());
        let never = move || owned.0.send("run".to_owned()).unwrap();
        at_exit(Stage::Log, "never", PATIENCE, never).unwrap().keep();
        let runs = Arc::new(Barrier::new(2));
        let theirs = Arc::clone(&runs);
        let hang = move || {
            theirs.wait();
            std::thread::park();
        };
        at_exit(Stage::Pools, "hangs", Duration::MAX, hang).unwrap().keep();
        let other = runtime.clone();
        let abandon = spawn("abandon", move || {
            runs.wait();
            other.abandon();
        });
        assert_eq!(runtime.stop(None).unwrap_err().status(), Status::Closed);
        abandon.join().unwrap();
        assert_eq!(noted.try_iter().collect::<Vec<_>>(), ["dropped"]);
    });
}

#[test]
fn many_threads_add_and_remove_while_python_stops() {
    in_child("many_threads_add_and_remove_while_python_stops", || {
        for _ in 0..20 {
            let runtime = start(&Options::new());
            let (notes, noted) = mpsc::channel();
            let ready = Arc::new(Barrier::new(5));
            let threads: Vec<_> = (0..4_usize)
                .map(|number| {
                    let (notes, ready) = (notes.clone(), Arc::clone(&ready));
                    spawn("adder", move || {
                        ready.wait();
                        for round in 0_usize.. {
                            let stage = Stage::ALL[(number + round) % 4];
                            let owned = Dropped(notes.clone());
                            let body = move || drop(owned);
                            match at_exit(stage, "many", PATIENCE, body) {
                                Ok(stopper) if round % 2 == 0 || round > 50 => drop(stopper),
                                Ok(stopper) => stopper.keep(),
                                Err(error) if error.status() == Status::Closed => {
                                    if stage == Stage::Log {
                                        return round + 1;
                                    }
                                }
                                Err(error) => panic!("{error}"),
                            }
                        }
                        unreachable!("the loop has no end")
                    })
                })
                .collect();
            ready.wait();
            runtime.stop(None).unwrap();
            let made: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            drop(notes);
            assert_eq!(noted.iter().count(), made, "each is dropped once, run or not");
        }
    });
}

#[test]
fn it_says_so_on_stderr_when_python_cannot_be_entered() {
    let name = "it_says_so_on_stderr_when_python_cannot_be_entered";
    let seen = Child::new(name).run(|| {
        let runtime = start(&Options::new());
        let theirs = runtime.clone();
        at_exit(Stage::Pools, "abandons", PATIENCE, move || {
            theirs.abandon();
            Err::<(), _>("nobody to tell in Python")
        })
        .unwrap()
        .keep();
        assert_eq!(runtime.stop(None).unwrap_err().status(), Status::Closed);
        // It may still be on its way.
        let deadline = Instant::now() + Duration::from_secs(20);
        let task = |entry: &std::fs::DirEntry| {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            name.starts_with("stop abandons")
        };
        let runs = || std::fs::read_dir("/proc/self/task").unwrap().flatten().any(|e| task(&e));
        while runs() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        std::io::stdout().flush().unwrap();
    });
    if let Some(seen) = seen {
        seen.assert_success();
        let line = "raddle: the exit stopper 'abandons' failed: nobody to tell in Python";
        assert!(seen.stderr.contains(line), "{}", seen.story());
    }
}
