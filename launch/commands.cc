#include "launch/commands.h"

namespace alm {

std::vector<Command> all_commands() {
  return {synth_command(), inspect_command()};
}

}  // namespace alm
