// Signals that ask for an early stop with a good checkpoint (contract 1, Preemption).
#pragma once

namespace alm {

// From now on USR1, USR2 and TERM set the flag of kernels/base/stop_flag.h instead of ending the
// process. Only for commands that poll it; the others keep the default actions. INT (Ctrl-C) always
// ends at once. Call before threads that compute are made: the caller and its later threads are
// closed to these signals, which a thread of their own takes.
void install_stop_signals();

}  // namespace alm
