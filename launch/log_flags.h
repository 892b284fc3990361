// Options that every command which reads a log has, and what they resolve to.
#pragma once

#include <memory>
#include <vector>

#include "engine/model/compute.h"
#include "io/log_reader.h"
#include "launch/options.h"

namespace alm {

// --log, --index-dir, --on-bad-row, --max-touches.
std::vector<OptionSpec> log_flags();
// COLLECTIVE. Opens the log; says its warnings.
std::shared_ptr<const io::Log> open_log(const Options& options, Communicator& world);

// COLLECTIVE. UserError unless a file can be written at `path`, the value of --`option`; makes the
// directory it lies in. So that hours of work do not end in a slip of the keyboard. `text`: what
// will be written is no HDF5, so a file there that is, a log perhaps, is not to be replaced.
void check_output_file(const std::string& option, const std::string& path, bool text,
                       Communicator& world);

// --device, with these choices and that help, and --simd.
std::vector<OptionSpec> device_flags(const std::vector<std::string>& devices,
                                     const std::string& help);
// The same of a command that computes on CPUs alone.
std::vector<OptionSpec> cpu_flags();
// --precision, of commands that train.
OptionSpec precision_flag();
// What it comes to on a device of which it names the default.
Precision chosen_precision(const Options& options, Precision if_auto);
// COLLECTIVE. Threads as asked; the highest SIMD level that every rank has, or the one asked for.
// Says the choice.
std::unique_ptr<Compute> make_compute(const Options& options, Communicator& world,
                                      Precision precision = Precision::fp32);

}  // namespace alm
