// alm: picks the subcommand, runs it, and turns what it throws into one line and an exit code.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/hdf5_child.h"
#include "kernels/base/log.h"
#include "kernels/base/text.h"
#include "launch/commands.h"
#include "launch/environment.h"
#include "launch/front_page.h"

namespace alm {
namespace {

// Text for people or pipes on stdout; a full disk must not pass for success.
void check_output() {
  if (std::fflush(stdout) != 0) throw MachineError("cannot write to standard output");
}

// `alm help`, `alm -h` and `alm --help` alike; `alm help train` is `alm train --help`.
std::vector<std::string> with_help_spelt_out(std::vector<std::string> arguments) {
  if (arguments.empty()) return arguments;
  if (arguments[0] == "help") {
    arguments.erase(arguments.begin());
    arguments.push_back("--help");
  }
  std::replace(arguments.begin(), arguments.end(), std::string("-h"), std::string("--help"));
  return arguments;
}

int run(const std::vector<std::string>& given, Communicator& world) {
  const bool speaks = world.rank() == 0;
  configure_log(world.rank(), false);
  const std::vector<std::string> arguments = with_help_spelt_out(given);
  const std::string first = arguments.empty() ? "--help" : arguments[0];
  if (first == "--help" || first == "--version") {
    const std::string text =
        first == "--version" ? version_text(world.name()) + gpu_version_text() : front_page();
    if (speaks) std::fputs(text.c_str(), stdout);
    return arguments.empty() ? 1 : 0;
  }
  const Command command = find_command(first);
  for (const std::string& warning : warnings_of_variables()) log_warning(warning);
  const Options options = parse_options(command.spec, {arguments.begin() + 1, arguments.end()});
  if (options.flag("help")) {
    if (speaks) std::fputs(help_text(command.spec).c_str(), stdout);
    return 0;
  }
  configure_log(world.rank(), options.flag("quiet"));
  return command.run(options, world);
}

// Says the error, once however many ranks met it, and gives the exit code: for all ranks end alike.
// When others are still inside collectives this one waits for, none can end in good order, and all
// are ended at once.
int fail(Communicator& world, const std::string& message, int exit_code) {
  constexpr double kPatience = 3;  // seconds; ranks that share an error meet it at about one time
  const std::vector<std::string> said = world.meet(message, kPatience);
  if (!said.empty()) {
    if (world.rank() == 0) log_error(said[0]);
    return exit_code;
  }
  std::signal(SIGTERM, SIG_DFL);  // by which mpirun ends the others once one rank aborts
  log_error(format("rank %lld of %lld: %s", static_cast<long long>(world.rank()),
                   static_cast<long long>(world.size()), message.c_str()));
  world.abort(exit_code);
  return exit_code;  // not reached; g++ does not see it through a virtual call
}

int guarded_run(const std::vector<std::string>& arguments, Communicator& world) {
  try {
    const int exit_code = run(arguments, world);
    check_output();
    return exit_code;
  } catch (const Error& error) {
    return fail(world, error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    return fail(world, "out of memory", 2);
  } catch (const std::exception& error) {
    return fail(world, error.what(), 2);
  }
}

}  // namespace
}  // namespace alm

int main(int argc, char** argv) {
  if (const auto code = alm::io::serve_hdf5(argc, argv)) return *code;
  try {
    const std::unique_ptr<alm::Communicator> world = alm::make_world_communicator(&argc, &argv);
    return alm::guarded_run({argv + 1, argv + argc}, *world);
  } catch (const alm::Error& error) {  // there is no world yet
    alm::log_error(error.what());
    return error.exit_code();
  }
}
