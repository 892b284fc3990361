#include "launch/commands.h"

namespace alm {

std::vector<Command> all_commands() {
  return {synth_command(),     import_command(), inspect_command(),
          plan_command(),      train_command(),  evaluate_command(),
          attribute_command(), doctor_command(), bench_command()};
}

}  // namespace alm
