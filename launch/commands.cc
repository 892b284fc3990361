#include "launch/commands.h"

namespace alm {

std::vector<Command> all_commands() {
  return {inspect_command()};
}

}  // namespace alm
