// Signals that ask for an early stop with a good checkpoint (contract 1, Preemption).
#pragma once

#include "kernels/base/stop_flag.h"

namespace alm {

// From now on USR1, USR2 and TERM set the flag of kernels/base/stop_flag.h instead of ending the
// process. Only for commands that poll it; the others keep the default actions. INT (Ctrl-C) always
// ends at once. Call before threads that compute are made: the caller and its later threads are
// closed to these signals, which a thread of their own takes.
void install_stop_signals();

// Of a command that keeps nothing when it is stopped: says so, and gives the exit code.
int say_stopped(const Stopped& stopped);

}  // namespace alm
