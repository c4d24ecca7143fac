// SPDX-License-Identifier: Apache-2.0
// Runs a program, reads the lines it prints and kills it with SIGKILL at a chosen moment. What it printed
// before is what it acknowledged: the oracle lives in this process, where the kill cannot reach it.
//
// The program prints one line an acknowledgement with a single write(2) of at most PIPE_BUF bytes, for
// instance through Acknowledge() below.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

extern char** environ;

namespace trivium::testing_support {

struct KillMoment {
  std::size_t after_lines = 0;             // wait for so many lines first,
  std::chrono::microseconds delay{0};      // then so long
  std::chrono::seconds give_up_after{60};  // and kill in any case by then
};

struct KilledRun {
  std::vector<std::string> lines;  // whole lines printed, without their ends
  bool was_killed = false;         // false: it ended by itself first
  int exit_code = -1;              // where it ended by itself
};

inline KilledRun RunAndKill(const std::vector<std::string>& command, const KillMoment& moment) {
  using Clock = std::chrono::steady_clock;
  KilledRun run;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    ADD_FAILURE() << "pipe2 failed";
    return run;
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = -1;
  const int spawned = ::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (spawned != 0) {
    ADD_FAILURE() << "cannot run " << command[0];
    ::close(ends[0]);
    return run;
  }
  const Clock::time_point give_up = Clock::now() + moment.give_up_after;
  Clock::time_point kill_at = moment.after_lines == 0 ? Clock::now() + moment.delay : give_up;
  bool killed = false;
  std::string pending;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(kill_at - Clock::now()).count();
    if (!killed && left <= 0) {
      ::kill(child, SIGKILL);
      killed = true;
    }
    const timespec timeout = {.tv_sec = killed ? 60 : left / 1000000,
                              .tv_nsec = killed ? 0 : left % 1000000 * 1000};
    pollfd wait = {.fd = ends[0], .events = POLLIN, .revents = 0};
    if (::ppoll(&wait, 1, &timeout, nullptr) <= 0) continue;
    char buffer[4096];
    const ssize_t size = ::read(ends[0], buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;  // the program is gone
    pending.append(buffer, static_cast<std::size_t>(size));
    for (std::size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      run.lines.push_back(pending.substr(0, end));
      if (run.lines.size() == moment.after_lines) kill_at = std::min(give_up, Clock::now() + moment.delay);
    }
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  run.was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (WIFEXITED(status)) run.exit_code = WEXITSTATUS(status);
  return run;
}

// For the program under test. Ends it when nobody listens.
inline void Acknowledge(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  if (::write(STDOUT_FILENO, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(3);
}

}  // namespace trivium::testing_support
