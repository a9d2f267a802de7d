# SPDX-License-Identifier: Apache-2.0
# One server that contrib/bench measures: a process pinned to the servers' core, or several, an address for each protocol it
# speaks, and what it has cost so far. What is special about nginx and the others is in Peers.pm.
package Headpond::Bench::Server;
use strict;
use warnings;
use IO::Socket::INET;
use POSIX ();
use Headpond::Bench::World;

my @started;
my $owner = $$;

# name, world; command, env; beside => [command]: what runs with it and is counted in; before => a function that is told how
# many connections come next; address => { h1 => HOST:PORT, h1s =>, h2c =>, h2s => }, cannot => { PROTOCOL => why not }.
sub start {
    my ($class, %self) = @_;
    my $self = bless \%self, $class;
    push @started, $self;
    my %address = %{ $self->{address} };
    $self->{process} = $self->run($self->{command});
    push @{ $self->{processes} }, $self->{process};
    if ($self->{beside}) {
        $self->wait_for($address{h1}); # it may look for what the first one makes
        push @{ $self->{processes} }, $self->run($self->{beside});
    }
    $self->wait_for(values %address);
    $self->alive or die "it did not start: " . $self->last_words . "\n";
    return $self;
}

sub wait_for {
    my ($self, @addresses) = @_;
    for my $address (@addresses) {
        Headpond::Process::wait_until(sub { !$self->alive || IO::Socket::INET->new(PeerAddr => $address) }, 20);
    }
}

sub run {
    my ($self, $command) = @_;
    my $out = "$self->{dir}/out" . ($self->{out}++ || '');
    return Headpond::Process->start(log => "$self->{dir}/err", out => $out, env => $self->{env} // {},
        command => ['taskset', '-c', $Headpond::Bench::World::CPU, @$command]);
}

sub alive {
    my ($self) = @_;
    return !grep { !$_->alive } @{ $self->{processes} };
}

sub last_words {
    my ($self) = @_;
    my $text = join '', map { Headpond::Process::slurp($_) } glob("$self->{dir}/out*"), "$self->{dir}/err", glob "$self->{dir}/*.log";
    return substr($text, -1500) =~ s/\s+/ /gr;
}

sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1:0') or die "no port: $!\n";
    return $socket->sockport;
}

# Addresses for these protocols, each on a port of its own.
sub addresses { return map { $_ => '127.0.0.1:' . free_port() } @_ }

sub base {
    my ($self, $proto) = @_;
    return ($proto =~ /s$/ ? 'https' : 'http') . "://$self->{address}{$proto}";
}

# Why it has no row for that protocol; nothing when it speaks it.
sub cannot {
    my ($self, $proto) = @_;
    return $self->{address}{$proto} ? undef : $self->{cannot}{$proto} // 'does not speak it';
}

# Its processes, all of them.
sub pids {
    my ($self) = @_;
    my @pids = map { $_->{pid} } @{ $self->{processes} };
    for (my $i = 0; $i < @pids; $i++) {
        push @pids, map { split ' ', Headpond::Process::slurp($_) } glob "/proc/$pids[$i]/task/*/children";
    }
    return @pids;
}

# Files and sockets that it has open; nothing where that is not to be seen.
sub descriptors {
    my ($self) = @_;
    my $count = 0;
    for my $pid ($self->pids) {
        opendir my $list, "/proc/$pid/fd" or return;
        $count += () = grep { !/^\./ } readdir $list;
    }
    return $count;
}

# To be called while it has no clients, for the next two.
sub note_rest { my ($self) = @_; $self->{at_rest} = $self->descriptors }

# Descriptors that clients have brought; nothing where they are not to be seen.
sub connections {
    my ($self) = @_;
    return defined $self->{at_rest} ? $self->descriptors - $self->{at_rest} : undef;
}

# Waits until those of clients that have ended are gone.
sub wait_rest {
    my ($self) = @_;
    Headpond::Process::wait_until(sub { ($self->connections // 0) < 100 }, 20);
}

# CPU seconds so far, user's and system's, of all threads of all processes.
sub cpu {
    my ($self) = @_;
    my $ticks = 0;
    for my $pid ($self->pids) {
        my @fields = split ' ', Headpond::Process::slurp("/proc/$pid/stat") =~ s/^.*\) //sr;
        $ticks += $fields[11] + $fields[12] if @fields;
    }
    return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# Resident bytes: its own memory, and with the files that it has mapped. What several processes share counts once.
sub memory {
    my ($self) = @_;
    my ($own, $all) = (0, 0);
    for my $pid ($self->pids) {
        my %kib = Headpond::Process::slurp("/proc/$pid/smaps_rollup") =~ /^(Pss\w*):\s+(\d+)/mg;
        $own += ($kib{Pss_Anon} // 0) + ($kib{Pss_Shmem} // 0);
        $all += $kib{Pss} // 0;
    }
    return ($own * 1024, $all * 1024);
}

sub stop {
    my ($self) = @_;
    $_->stop(5) for reverse @{ $self->{processes} };
}

# Where all ends early: workers whose master is killed would stay for ever.
END {
    my $status = $?;
    kill 'KILL', map { $_->pids } grep { $_->alive } @started if $$ == $owner;
    $? = $status;
}

1;
