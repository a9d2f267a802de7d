# SPDX-License-Identifier: Apache-2.0
# What contrib/bench found, in Markdown: a table a load with every server that was asked for, those without figures, too.
package Headpond::Bench::Table;
use strict;
use warnings;
use Headpond::Bench::Measure;
use Headpond::Bench::World;

my $MIB = 1 << 20;

# Columns: head, format, figure, and how it is scaled.
my @columns = (
    ['requests/s', '%.0f', 'requests_s', 1], ['GiB/s', '%.2f', 'gib_s', 1], ['whole p50 ms', '%.3f', 'p50', 1], ['whole p99 ms', '%.3f', 'p99', 1],
    ['first byte p50 ms', '%.3f', 'first_p50', 1], ['first byte p99 ms', '%.3f', 'first_p99', 1], ['CPU µs a request', '%.1f', 'cpu_request', 1],
    ['CPU s a GiB', '%.3f', 'cpu_gib', 1], ['requests a CPU s', '%.0f', 'per_cpu', 1], ['% of a core', '%.0f', 'busy', 100],
    ['client', '%.0f', 'client', 100], ['others', '%.0f', 'others', 100],
    ['memory MiB', '%.0f', 'memory', 1 / $MIB], ['with mapped files', '%.0f', 'mapped', 1 / $MIB],
);

# The table of a load. Ratio: how much the first server gets from a CPU second, in what this one gets from it.
sub load {
    my ($load, $names, $result) = @_;
    my $text = '## ' . $load->title . "\n\n| server | " . join(' | ', map { $_->[0] } @columns) . " | $names->[0] to it |\n|---" . '|---' x (@columns + 1) . "|\n";
    my $first = ref $result->{ $names->[0] } && @{ $result->{ $names->[0] } } ? Headpond::Bench::Measure::medians($result->{ $names->[0] })->{per_cpu} : undef;
    for my $name (@$names) {
        my $turns = $result->{$name};
        if (!ref $turns || !@$turns) {
            my $why = ref $turns ? 'no turns' : $turns =~ s/\|/\\|/gr;
            $text .= "| $name | none: $why" . ' |' x (@columns + 1) . "\n";
            next;
        }
        my $m = Headpond::Bench::Measure::medians($turns);
        my $ratio = defined $first && $m->{per_cpu} > 0 ? sprintf '%.2f', $first / $m->{per_cpu} : '';
        $text .= "| $name | " . join(' | ', map { sprintf $_->[1], $m->{ $_->[2] } * $_->[3] } @columns) . " | $ratio |\n";
    }
    my @asked = map { my $name = $_; my $n = 0; $n += $_->{asked} for ref $result->{$name} ? @{ $result->{$name} } : (); $n ? "$name $n times" : () } @$names;
    $text .= "\nNot all was warm: the origin was asked by " . join(', ', @asked) . ".\n" if @asked;
    return "$text\n";
}

# Of a program; nothing when it is not there.
sub version {
    my ($command) = @_;
    my $text = qx($command 2>&1) // return;
    return $text =~ /(\d+\.\d+(?:\.\d+)*)/ ? $1 : undef;
}

# What it was measured on and how, for above the tables.
sub head {
    my ($rounds, $seconds, $first) = @_;
    my $text = Headpond::Process::slurp('/proc/cpuinfo');
    my ($cpu) = $text =~ /^model name\s*:\s*(.+)$/m;
    my $cores = () = $text =~ /^processor/mg;
    my %version = (nginx => 'nginx -v', Varnish => 'varnishd -V', 'Traffic Server' => 'traffic_server -V', Squid => 'squid -v', h2o => 'h2o -v', hitch => 'hitch -V', nghttp2 => 'h2load --version');
    my $versions = join ', ', map { my $found = version($version{$_}); $found ? "$_ $found" : () } sort keys %version;
    my ($one) = Headpond::Process::slurp('/proc/loadavg') =~ /^(\S+)/;
    return <<"TEXT";
# Hits beside other servers

$cores cores (@{[ $cpu // 'unknown' ]}), Linux @{[ (POSIX::uname())[2] ]}; each server has one worker on one core, the clients have another; everything is
cached and warm; TLS is 1.3 with $Headpond::Bench::World::CIPHER. $versions.
The servers take turns; medians of $rounds turns of $seconds s. Load average when this was written: $one.

The first byte was timed by a client that checks each byte and so is slower than the one that counts requests. CPU is the
server's, of all its threads and processes; beside how much of a core that was, how much the client took, which is the limit
where it took all of one, and everything else on the machine, which should be next to nothing. Memory is resident, what processes share counted once, the page cache of files that
are not mapped not at all. `$first to it`: requests a CPU second, those of $first divided by those of this server; below 1 it loses.

TEXT
}

1;
