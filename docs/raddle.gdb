# For gdb: source docs/raddle.gdb, then raddle-backtrace ADDRESS, where ADDRESS is task.stack_pointer of a suspended
# tasklet. x86-64. The process must be alive, since registers are lent to the backtrace and put back.
define raddle-backtrace
  if $argc != 1
    echo raddle-backtrace ADDRESS: what stack_pointer of a suspended tasklet says\n
  else
    # A frame in Rust would have the rest of this read as Rust.
    set language c
    # In the order in which runtime/src/tasklet/switch/x86_64.rs pushes them.
    set $raddle_at = (unsigned long *) ($arg0)
    select-frame 0
    set $raddle_rip = (unsigned long) $rip
    set $raddle_rsp = (unsigned long) $rsp
    set $raddle_rbp = (unsigned long) $rbp
    set $raddle_rbx = (unsigned long) $rbx
    set $raddle_r12 = (unsigned long) $r12
    set $raddle_r13 = (unsigned long) $r13
    set $raddle_r14 = (unsigned long) $r14
    set $raddle_r15 = (unsigned long) $r15
    set $r15 = $raddle_at[0]
    set $r14 = $raddle_at[1]
    set $r13 = $raddle_at[2]
    set $r12 = $raddle_at[3]
    set $rbx = $raddle_at[4]
    set $rbp = $raddle_at[5]
    set $rip = $raddle_at[6]
    set $rsp = (unsigned long) ($raddle_at + 7)
    backtrace
    set $rsp = $raddle_rsp
    set $rip = $raddle_rip
    set $rbp = $raddle_rbp
    set $rbx = $raddle_rbx
    set $r12 = $raddle_r12
    set $r13 = $raddle_r13
    set $r14 = $raddle_r14
    set $r15 = $raddle_r15
    set language auto
  end
end
document raddle-backtrace
Shows the calls of a suspended tasklet: raddle-backtrace ADDRESS, the tasklet's stack_pointer.
end
