# SPDX-License-Identifier: Apache-2.0
# Takes turns: for each load, round after round, each server once, so that what changes on the machine meanwhile meets all of
# them. Keeps every turn's figures and tells of medians.
package Headpond::Bench::Measure;
use strict;
use warnings;
use POSIX ();
use Time::HiRes ();
use Headpond::Bench::Table;

my $GIB = 1 << 30;

# CPU seconds of the clients that have ended, and of everything on the machine.
sub clients_cpu { my (undef, undef, $user, $system) = times; return $user + $system }

sub machine_cpu {
    my (undef, $user, $nice, $system, undef, undef, $irq, $softirq, $steal) = split ' ', Headpond::Process::slurp('/proc/stat');
    return ($user + $nice + $system + $irq + $softirq + $steal) / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}

# What a turn tells, per server and load: requests_s, gib_s, p50, p99, first_p50, first_p99 (ms), cpu_request (µs), cpu_gib (s),
# per_cpu (requests a CPU second), busy, client and others (of a core: the server, the client, and all else on the machine, the
# kernel's interrupts included), memory and mapped (bytes).
sub turn {
    my ($load, $server, $seconds, $world) = @_;
    my ($cpu, $client, $all, $at) = ($server->cpu, clients_cpu(), machine_cpu(), Time::HiRes::time());
    my $got = $load->run($server, $seconds, $world);
    ($cpu, $client, $all) = ($server->cpu - $cpu, clients_cpu() - $client, machine_cpu() - $all);
    my $wall = Time::HiRes::time() - $at;
    $got->{requests} > 0 or die "no reply in $seconds s\n";
    $got->{errors} == 0 or die "$got->{errors} of $got->{requests} replies were errors\n";
    my %turn = (requests_s => $got->{requests} / $got->{seconds}, gib_s => $got->{bytes} / $GIB / $got->{seconds}, p50 => $got->{p50},
        p99 => $got->{p99}, cpu_request => 1e6 * $cpu / $got->{requests}, cpu_gib => $cpu * $GIB / $got->{bytes},
        per_cpu => $cpu > 0 ? $got->{requests} / $cpu : 0, busy => $cpu / $wall,
        client => $client / $wall, others => $all > $cpu + $client ? ($all - $cpu - $client) / $wall : 0);
    @turn{qw(memory mapped)} = $server->memory;
    my $first = $load->check($server, $seconds < 2 ? $seconds : 2);
    return { %turn, %$first };
}

# All turns of one load: server's name => [turns] or, why it has no figures, a text.
sub load {
    my ($load, $world, $servers, $rounds, $seconds) = @_;
    my %result;
    for my $server (@$servers) {
        my $why = $server->{fault} // $load->cannot($server);
        # Before it counts: connections' and caches' first steps, and whether the bytes are right.
        $why //= eval {
            $server->{before}->($load->{connections}) if $server->{before};
            $load->check($server, 1);
            $load->run($server, 1, $world);
            undef;
        } // ($@ ? $@ =~ s/\s+$//r : undef);
        $result{ $server->{name} } = $why // [];
    }
    $world->{origin}->reset_stats;
    for my $round (1 .. $rounds) {
        for my $server (grep { ref $result{ $_->{name} } } @$servers) {
            my $name = $server->{name};
            my $turn = eval { turn($load, $server, $seconds, $world) };
            $result{$name} = $@ =~ s/\s+$//r, next if !$turn;
            push @{ $result{$name} }, $turn;
            my $asked = $world->{origin}->data_requests;
            $turn->{asked} = $asked;
            $world->{origin}->reset_stats if $asked;
            printf STDERR "%-8s %3d  %-13s %9.0f requests/s %6.2f GiB/s  %8.1f us CPU a request  %3.0f %% of a core, client %3.0f, others %3.0f  p99 %7.2f ms%s\n",
                $load->{name}, $load->{connections}, $name, @$turn{qw(requests_s gib_s cpu_request)}, (map { 100 * $turn->{$_} } qw(busy client others)), $turn->{p99},
                $asked ? "  the origin was asked $asked times" : '';
        }
    }
    return \%result;
}

# Their table; the last column is what the first server gets from a CPU second, in what this one gets from it.
sub table {
    my ($load, $servers, $result) = @_;
    my @rows = map {
        my $found = $result->{ $_->{name} };
        { name => $_->{name}, ref $found ? (turns => $found) : (why => $found) };
    } @$servers;
    my @asked = map { my $n = 0; $n += $_->{asked} for @{ $_->{turns} // [] }; $n ? "$_->{name} $n times" : () } @rows;
    return '## ' . $load->title . "\n\n" . Headpond::Bench::Table::figures('server', \@Headpond::Bench::Table::load, \@rows, 'per_cpu')
        . (@asked ? 'Not all was warm: the origin was asked by ' . join(', ', @asked) . ".\n\n" : '');
}

1;
