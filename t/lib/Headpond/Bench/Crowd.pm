# SPDX-License-Identifier: Apache-2.0
# What contrib/bench measures of connections that do next to nothing, `crowd`: 10,000 that have had a reply of 4 KiB and stay
# open, then 1,000 more that take a reply of 4 MiB at 40 KB a second, and while all of them are there clients that come anew,
# one after another, each with a connection of its own.
package Headpond::Bench::Crowd;
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes ();
use Headpond::Bench::Table;
use Headpond::Bench::World;

my ($KIB, $MIB) = (1 << 10, 1 << 20);
our ($IDLE, $SLOW, $COMERS) = (10_000, 1_000, 500);
our $SLOW_SECONDS = 5; # how long the slow ones have been there when it is measured

sub request {
    my ($address, $first, $size, $buffer) = @_;
    my $socket = IO::Socket::INET->new(Proto => 'tcp') or die "socket: $!\n";
    setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack('i', $buffer) if $buffer;
    my ($host, $port) = split /:/, $address;
    connect $socket, Socket::pack_sockaddr_in($port, Socket::inet_aton($host)) or die "connect: $!\n";
    syswrite $socket, sprintf "GET /%s/big HTTP/1.1\r\nHost: bench\r\nRange: bytes=%d-%d\r\n\r\n", $Headpond::Bench::World::CONTAINER,
        $first, $first + $size - 1;
    return $socket;
}

# Head and body, or death.
sub read_reply {
    my ($socket, $size) = @_;
    my $got = '';
    while ($got !~ /\r\n\r\n/ || length($got) < $+[0] + $size) {
        IO::Select->new($socket)->can_read(20) or die "no reply in 20 s\n";
        sysread $socket, $got, 64 * $KIB, length $got or die "a reply broke off\n";
    }
    $got =~ /^HTTP\/1.1 206 / or die 'a reply: ' . substr($got, 0, 100) . "\n";
}

sub idle { return map { my $socket = request($_[0], $_ % 1000 * 4 * $KIB, 4 * $KIB); read_reply($socket, 4 * $KIB); $socket } 1 .. $IDLE }

# Has each of them take 4 KiB, ten times a second, for so long; of those who have all of theirs, none is there any more.
sub take_slowly {
    my ($sockets, $seconds) = @_;
    my $until = Time::HiRes::time() + $seconds;
    while (Time::HiRes::time() < $until) {
        my $next = Time::HiRes::time() + 0.1;
        $_->blocking(0), sysread $_, my $bytes, 4 * $KIB for @$sockets;
        my $left = $next - Time::HiRes::time();
        Time::HiRes::sleep($left) if $left > 0;
    }
}

# Milliseconds from the call to the last byte, sorted.
sub comers {
    my ($address) = @_;
    my @ms;
    for my $i (1 .. $COMERS) {
        my $began = Time::HiRes::time();
        my $socket = request($address, $i * 4 * $KIB, 4 * $KIB);
        read_reply($socket, 4 * $KIB);
        push @ms, 1000 * (Time::HiRes::time() - $began);
    }
    return sort { $a <=> $b } @ms;
}

# Kernel memory of all sockets of the machine; those of the clients hardly count, since they have read what came.
sub kernel {
    my ($pages) = Headpond::Process::slurp('/proc/net/sockstat') =~ /^TCP:.* mem (\d+)/m;
    return $pages * 4 * $KIB;
}

# idle, slow, kernel: bytes a connection; quiet, busy: what half, and 99 of 100, of those who came had to wait for, ms.
sub turn {
    my ($server) = @_;
    my $address = $server->{address}{h1};
    my $settled = sub { Time::HiRes::sleep(0.5); ($server->memory)[0] };
    my @quiet = comers($address);
    my $before = $settled->();
    my @idle = idle($address);
    my $with_idle = $settled->();
    my $sockets = kernel();
    my @slow = map { request($address, $_ % 60 * 4 * $MIB, 4 * $MIB, 64 * $KIB) } 1 .. $SLOW;
    take_slowly(\@slow, $SLOW_SECONDS);
    my $with_slow = ($server->memory)[0];
    my $sockets_slow = kernel();
    my @busy = comers($address);
    return { idle => ($with_idle - $before) / $IDLE, slow => ($with_slow - $with_idle) / $SLOW, kernel => ($sockets_slow - $sockets) / $SLOW,
        map { my ($name, $ms) = @$_; ("${name}_p50" => $ms->[@$ms / 2], "${name}_p99" => $ms->[@$ms * 0.99]) } [quiet => \@quiet], [busy => \@busy] };
}

# Each server once or more, in turn; Markdown.
sub table {
    my ($servers, $rounds) = @_;
    my @rows = map { { name => $_->{name}, server => $_, turns => [], why => $_->{fault} // $_->cannot('h1') } } @$servers;
    my @columns = @Headpond::Bench::Table::crowd;
    for my $round (1 .. $rounds) {
        for my $row (grep { !$_->{why} } @rows) {
            my $turn = eval { turn($row->{server}) };
            $row->{why} = $@ =~ s/\s+$//r, next if !$turn;
            push @{ $row->{turns} }, $turn;
            print STDERR join('  ', sprintf('%-8s %-13s', 'crowd', $row->{name}), map { sprintf "$_->[0] $_->[1]", $turn->{ $_->[2] } } @columns), "\n";
        }
    }
    return "## $IDLE idle connections, then $SLOW slow ones\n\n" . Headpond::Bench::Table::figures('server', \@columns, \@rows) . "Medians of $rounds turns.\n\n";
}

1;
