# SPDX-License-Identifier: Apache-2.0
# One program that a test runs: started with its output in files, watched for lines, stopped by its own pid, and taken
# down with the test whatever happens to that.
package Headpond::Process;
use strict;
use warnings;
use File::Temp ();
use POSIX qw(WNOHANG);
use Time::HiRes qw(time sleep);
use Test::More ();

my %running; # pid => process, of this perl only
my $owner = $$;

# How much slower everything is under a sanitizer; bounds of waiting are multiplied by it.
my $slowness;
sub slowness {
    return $slowness //= do {
        my $build = $ENV{HEADPOND_BUILD} // '';
        my $config = '';
        if (open my $file, '<', "$build/config.h") {
            local $/;
            $config = <$file>;
        }
        $config =~ /^#define HEADPOND_SANITIZE 1/m ? 8 : 1;
    };
}

# Calls the code until it returns something true, at most that many seconds; returns that, or nothing.
sub wait_until {
    my ($code, $seconds) = @_;
    my $end = time + ($seconds // 20) * slowness();
    while (1) {
        my $value = $code->();
        return $value if $value;
        return if time > $end;
        sleep 0.01;
    }
}

# Waits until `want` holds for what the code gives, and returns that: code that says yes to it, or a number that it is to
# reach. `what`: how it is called where it does not come.
sub wait_value {
    my ($want, $what, $get) = @_;
    my $value;
    my $code = ref $want ? $want : sub { $_[0] >= $want };
    my $held = wait_until(sub { $value = $get->(); $code->($value) }, 20);
    Test::More::diag("$what is $value") unless $held;
    return $held ? $value || '0 but true' : undef;
}

# command => [...], log => FILE for standard error, out => FILE for standard output (default: the log's), in => a handle
# for standard input (default: nothing to read), env => {}.
sub start {
    my ($class, %self) = @_;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $self{in} ? open STDIN, '<&', $self{in} : open STDIN, '<', '/dev/null';
        open STDERR, '>>', $self{log} or die;
        $self{out} ? open STDOUT, '>', $self{out} : open STDOUT, '>&', \*STDERR;
        $ENV{$_} = $self{env}{$_} for keys %{ $self{env} // {} };
        exec { $self{command}[0] } @{ $self{command} } or print STDERR "cannot run $self{command}[0]: $!\n";
        POSIX::_exit(127);
    }
    delete $self{in};
    return $running{$pid} = bless { %self, pid => $pid }, $class;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<', $path or return '';
    local $/;
    return scalar(<$file>) // '';
}

sub spew { my ($path, $text) = @_; open my $file, '>', $path or die "$path: $!\n"; print $file $text; close $file or die "$path: $!\n" }

sub log_text {
    my ($self) = @_;
    return slurp($self->{log});
}

# The first match's captures (or 1) once the log has it; nothing when it does not come or the program has ended.
sub wait_log {
    my ($self, $pattern, $seconds, $path) = @_;
    $path //= $self->{log};
    my $found = wait_until(sub {
        my $gone = !$self->alive;
        my @match = slurp($path) =~ $pattern;
        return [@match] if @match;
        return $gone ? [] : undef;
    }, $seconds);
    return wantarray ? @{ $found // [] } : ($found // [])->[0];
}

sub alive {
    my ($self) = @_;
    return 0 if defined $self->{status};
    my $got = waitpid $self->{pid}, WNOHANG;
    $self->ended($?) if $got == $self->{pid};
    return !defined $self->{status};
}

sub ended {
    my ($self, $status) = @_;
    $self->{status} = $status;
    delete $running{ $self->{pid} };
}

# Waits for its end: the wait status, or nothing when it is still there.
sub wait_end {
    my ($self, $seconds) = @_;
    wait_until(sub { !$self->alive }, $seconds);
    return $self->{status};
}

sub signal {
    my ($self, $signal) = @_;
    kill $signal, $self->{pid} if $self->alive;
}

# Runs a program to its end: its wait status, what it printed and what it complained of. command and env as for start,
# seconds: at most (180); meanwhile => code that is called once, `after` seconds.
sub run {
    my ($class, %o) = @_;
    my $dir = File::Temp->newdir;
    my $process = $class->start(%o, log => "$dir/err", out => "$dir/out");
    $o{meanwhile}->() if $o{meanwhile} && !defined $process->wait_end($o{after});
    my $status = $process->wait_end($o{seconds} // 180) // $process->stop_now;
    return ($status, slurp("$dir/out"), slurp("$dir/err"));
}

# Asks it to end; kills it when it does not. The wait status.
sub stop {
    my ($self, $seconds) = @_;
    $self->signal('TERM');
    if (!defined $self->wait_end($seconds // 20)) {
        Test::More::diag("$self->{command}[0] did not end in time");
        $self->signal('KILL');
        $self->wait_end(10);
    }
    return $self->{status};
}

sub stop_now {
    my ($self) = @_;
    $self->signal('KILL');
    return $self->wait_end(10);
}

sub kill_all {
    return if $$ != $owner;
    $_->stop_now for values %running;
}

END {
    my $status = $?;
    kill_all();
    $? = $status;
}
$SIG{$_} = sub { exit 1 } for qw(INT TERM HUP);

1;
