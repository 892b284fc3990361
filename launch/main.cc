// alm: picks the subcommand, runs it, and turns what it throws into one line and an exit code.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "engine/comm/communicator.h"
#include "io/hdf5_child.h"
#include "kernels/base/log.h"
#include "launch/commands.h"
#include "launch/front_page.h"

namespace alm {
namespace {

// Text for people or pipes on stdout; a full disk must not pass for success.
void check_output() {
  if (std::fflush(stdout) != 0) throw MachineError("cannot write to standard output");
}

int run(const std::vector<std::string>& arguments, Communicator& world) {
  const bool speaks = world.rank() == 0;
  configure_log(world.rank(), world.size(), false);
  const std::string first = arguments.empty() ? "--help" : arguments[0];
  if (first == "--help" || first == "-h" || first == "--version") {
    const std::string text = first == "--version" ? version_text(world.name()) : front_page();
    if (speaks) std::fputs(text.c_str(), stdout);
    return arguments.empty() ? 1 : 0;
  }
  const Command command = find_command(first);
  const Options options = parse_options(command.spec, {arguments.begin() + 1, arguments.end()});
  if (options.flag("help")) {
    if (speaks) std::fputs(help_text(command.spec).c_str(), stdout);
    return 0;
  }
  configure_log(world.rank(), world.size(), options.flag("quiet"));
  return command.run(options, world);
}

// Says the error and ends every rank. Rank 0 speaks first: a mistake that all ranks met is said
// once.
[[noreturn]] void fail(Communicator& world, const std::string& message, int exit_code) {
  std::signal(SIGTERM, SIG_DFL);  // by which mpirun ends the others once rank 0 has spoken
  if (world.rank() > 0) std::this_thread::sleep_for(std::chrono::seconds(2));
  log_error(message);
  world.abort(exit_code);
}

}  // namespace
}  // namespace alm

int main(int argc, char** argv) {
  if (const auto code = alm::io::serve_hdf5(argc, argv)) return *code;
  std::unique_ptr<alm::Communicator> world = alm::make_self_communicator();
  try {
    world = alm::make_world_communicator(&argc, &argv);
    const int exit_code = alm::run({argv + 1, argv + argc}, *world);
    alm::check_output();
    return exit_code;
  } catch (const alm::Error& error) {
    alm::fail(*world, error.what(), error.exit_code());
  } catch (const std::bad_alloc&) {
    alm::fail(*world, "out of memory", 2);
  } catch (const std::exception& error) {
    alm::fail(*world, error.what(), 2);
  }
}
