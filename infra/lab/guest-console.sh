# Serves commands on one console of the guest, for ever: `sh console TTY`. A line `run ROWS COLUMNS TERM COMMAND` starts
# COMMAND with TTY as its terminal; its end is told by an escape sequence that no terminal has. Other lines are keys
# that came too late for the command before.
tty=$1
while exec <>"$tty" >&0 2>&0 && stty raw -echo && read -r verb rows columns term command; do
  [ "$verb" = run ] || continue
  stty sane rows "$rows" columns "$columns"
  # Background processes of a shell, like this one, have interrupts ignored; a command must not inherit that.
  TERM=$term setsid -c -w env --default-signal sh -c "$command"
  code=$?
  exec <>"$tty" >&0 2>&0 # the end of a session hangs its terminal up
  printf '\033]dsr-lab;%s\007' $code
done
