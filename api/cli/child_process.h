// SPDX-License-Identifier: Apache-2.0
// A shell command that runs beside this process, its three standard streams in our hands.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace trivium::cli {

class ChildProcess {
 public:
  // Runs `/bin/sh -c command` in a process group of its own, so that Ctrl-C on the terminal reaches us alone.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(const std::string& command);

  // Closes its stdin, which asks it to end; after two seconds it is told to (SIGTERM), then made to
  // (SIGKILL).
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Our ends of the pipes; non-blocking.
  int to_stdin() const { return to_stdin_; }
  int from_stdout() const { return from_stdout_; }
  int from_stderr() const { return from_stderr_; }

  // Tells it and what it started to end (SIGTERM), for when nobody wants to wait.
  void Terminate();

  // Ends it as the destructor does and says how it ended: "exit code 3" or "signal 9".
  std::string End();

 private:
  ChildProcess() = default;
  bool HasEnded();
  bool WaitUntilEnded(int milliseconds);
  void ClosePipes();

  pid_t pid_ = -1;  // -1: never started, or reaped
  int wait_status_ = 0;
  int to_stdin_ = -1, from_stdout_ = -1, from_stderr_ = -1;
};

}  // namespace trivium::cli
