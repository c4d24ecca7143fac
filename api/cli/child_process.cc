// SPDX-License-Identifier: Apache-2.0
#include "api/cli/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "absl/strings/str_format.h"

extern char** environ;

namespace trivium::cli {
namespace {

constexpr int kPatienceMs = 2000;
constexpr int kPatienceAfterTermMs = 500;
constexpr int kPollMs = 5;

void CloseFd(int* fd) {
  if (*fd >= 0) ::close(*fd);
  *fd = -1;
}

void SetNonBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// The child gets the default reaction to SIGPIPE, which this process ignores, and a process group of its own.
int Spawn(const std::string& command, int stdin_fd, int stdout_fd, int stderr_fd, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string shell = "/bin/sh", flag = "-c", script = command;
  std::array<char*, 4> arguments = {shell.data(), flag.data(), script.data(), nullptr};
  const int error = ::posix_spawn(pid, shell.c_str(), &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(const std::string& command) {
  std::unique_ptr<ChildProcess> child(new ChildProcess());
  std::array<std::array<int, 2>, 3> pipes = {{{-1, -1}, {-1, -1}, {-1, -1}}};
  int error = 0;
  for (auto& ends : pipes) {
    if (error == 0 && ::pipe2(ends.data(), O_CLOEXEC) != 0) error = errno;
  }
  child->to_stdin_ = pipes[0][1];
  child->from_stdout_ = pipes[1][0];
  child->from_stderr_ = pipes[2][0];
  if (error == 0) error = Spawn(command, pipes[0][0], pipes[1][1], pipes[2][1], &child->pid_);
  CloseFd(&pipes[0][0]);
  CloseFd(&pipes[1][1]);
  CloseFd(&pipes[2][1]);
  if (error != 0) {
    child->pid_ = -1;
    return absl::InternalError(
        absl::StrFormat("process: %s, expected /bin/sh to start", std::strerror(error)));
  }
  for (int fd : {child->to_stdin_, child->from_stdout_, child->from_stderr_}) SetNonBlocking(fd);
  return child;
}

ChildProcess::~ChildProcess() { End(); }

void ChildProcess::Terminate() {
  if (!HasEnded()) ::kill(-pid_, SIGTERM);
}

std::string ChildProcess::End() {
  ClosePipes();
  if (pid_ >= 0 && !WaitUntilEnded(kPatienceMs)) {
    ::kill(-pid_, SIGTERM);
    if (!WaitUntilEnded(kPatienceAfterTermMs)) {
      ::kill(-pid_, SIGKILL);
      ::waitpid(pid_, &wait_status_, 0);
      pid_ = -1;
    }
  }
  if (WIFSIGNALED(wait_status_)) return absl::StrFormat("signal %d", WTERMSIG(wait_status_));
  return absl::StrFormat("exit code %d", WEXITSTATUS(wait_status_));
}

bool ChildProcess::HasEnded() {
  if (pid_ < 0) return true;
  const pid_t reaped = ::waitpid(pid_, &wait_status_, WNOHANG);
  if (reaped == pid_ || (reaped < 0 && errno == ECHILD)) pid_ = -1;
  return pid_ < 0;
}

bool ChildProcess::WaitUntilEnded(int milliseconds) {
  for (int waited = 0; !HasEnded(); waited += kPollMs) {
    if (waited >= milliseconds) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(kPollMs));
  }
  return true;
}

void ChildProcess::ClosePipes() {
  CloseFd(&to_stdin_);
  CloseFd(&from_stdout_);
  CloseFd(&from_stderr_);
}

}  // namespace trivium::cli
