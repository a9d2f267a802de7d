# SPDX-License-Identifier: Apache-2.0
# t/origin/blob-origin, driven from a test.
package Headpond::Origin;
use strict;
use warnings;
use File::Temp ();
use JSON::PP ();
use POSIX ();
use Headpond::Http;
use Headpond::Process;

our $build;   # where the programs are
our @secrets; # what no log may show
our %tls;     # certificate and key, for tls => 1
my $count = 0;

sub start {
    my ($class, %self) = @_;
    my $dir = File::Temp->newdir;
    my @tls = $self{tls} ? ('--cert', $tls{certificate}, '--key', $tls{key}) : ();
    my $process = Headpond::Process->start(
        command => ["$build/t/origin/blob-origin", '--parent-death', @tls],
        log => "$dir/log", out => "$dir/out",
    );
    my ($plain, $tls) = $process->wait_log(qr/^listening (\S+)(?: tls (\S+))?\n/, 20, "$dir/out")
        or die 'blob-origin did not start: ' . $process->log_text;
    return bless { process => $process, dir => $dir, address => $plain, tls_address => $tls }, $class;
}

sub escape {
    my ($text) = @_;
    return $text =~ s/([^A-Za-z0-9._~\/-])/sprintf '%%%02X', ord $1/ger;
}

# One command of its control interface; dies when it is refused. Returns the JSON of its answer.
sub control {
    my ($self, $method, $name, %params) = @_;
    my $query = join '&', map { "$_=" . escape($params{$_}) } sort keys %params;
    my $target = "/.control/$name" . ($query ne '' ? "?$query" : '');
    my ($text, $end) = eval { Headpond::Http::raw($self->{address},
        "$method $target HTTP/1.1\r\nHost: origin\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 20) };
    die "origin: $method $target: " . ($@ || $end) . $self->ended if !defined $text || $text eq '';
    my $reply = Headpond::Http::parse($text);
    die "origin: $method $target: $reply->{status} $reply->{body}" if $reply->{status} != 200;
    return JSON::PP::decode_json($reply->{body});
}

# How it ended, if it has, and what it complained of.
sub ended {
    my ($self) = @_;
    return '' if $self->{process}->alive;
    return sprintf "; it ended with wait status %d: %s", $self->{process}{status}, $self->{process}->log_text;
}

sub account { my ($self, $name, %p) = @_; return $self->control(PUT => 'account', name => $name, %p) }
sub container { my ($self, $name, %p) = @_; return $self->control(PUT => 'container', name => $name, %p) }
sub blob { my ($self, $path, %p) = @_; return $self->control(PUT => 'blob', path => $path, %p) }
sub headers { my ($self, $path, %p) = @_; return $self->control(PUT => 'headers', path => $path, %p) }
sub describe { my ($self, $path) = @_; return $self->control(GET => 'blob', path => $path) }
sub remove { my ($self, $path) = @_; return $self->control(DELETE => 'blob', path => $path) }
sub touch { my ($self, $path, %p) = @_; return $self->control(POST => 'touch', path => $path, %p) }
sub fault { my ($self, %p) = @_; return $self->control(PUT => 'fault', %p) }
sub faults { my ($self) = @_; return $self->control(GET => 'fault') }
sub clear_faults { my ($self) = @_; return $self->control(DELETE => 'fault') }
sub latency { my ($self, %p) = @_; return $self->control(%p ? 'PUT' : 'DELETE', 'latency', %p) }
sub stats { my ($self) = @_; return $self->control(GET => 'stats') }
# How many requests brought blob data; the probes of one byte are not counted.
sub data_requests {
    my ($self) = @_;
    return scalar grep { $_->{method} eq 'GET' && $_->{body_bytes} > 0 && ($_->{range} // '') ne 'bytes=0-0' && $_->{target} !~ /comp=/ }
        @{ $self->log };
}
sub reset_stats { my ($self) = @_; return $self->control(DELETE => 'stats') }
sub log { my ($self, $path) = @_; return $self->control(GET => 'log', $path ? (path => $path) : ()) }
sub path_stats { my ($self, $path) = @_; return $self->stats->{paths}{$path} // { requests => 0, body_bytes => 0 } }

# A service SAS for a scope, known to the origin from now on: what to append to a URL. Options: sp (r), sr (by the scope),
# expires (seconds from now, 3600), unknown (do not tell the origin), extra (more parameters).
sub sas {
    my ($self, $scope, %o) = @_;
    my $depth = () = $scope =~ m{/}g;
    my $sr = $o{sr} // ($depth >= 3 ? 'b' : 'c');
    my $sig = sprintf 'SiG%d%08xQ', ++$count, int rand 0xffffffff;
    my $end = POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + ($o{expires} // 3600)));
    push @secrets, $sig;
    $self->control(PUT => 'grant', sig => $sig, scope => $scope) unless $o{unknown};
    return "sv=2022-11-02&sr=$sr&sp=" . ($o{sp} // 'r') . '&se=' . escape($end) =~ s/:/%3A/gr . ($o{extra} // '') . "&sig=$sig";
}

sub revoke {
    my ($self, $sas) = @_;
    my ($sig) = $sas =~ /sig=(\w+)/;
    return $self->control(DELETE => 'grant', sig => $sig);
}

# A bearer token for a scope: the header that carries it.
sub bearer {
    my ($self, $scope, %o) = @_;
    my $token = sprintf 'ToKeN%d.%08x.Q', ++$count, int rand 0xffffffff;
    push @secrets, $token;
    $self->control(PUT => 'grant', token => $token, scope => $scope) unless $o{unknown};
    return "Authorization: Bearer $token";
}

# Bytes of a blob as the origin has them, for comparison. Counts in the origin's statistics. Needs a SAS or a public
# container.
sub bytes {
    my ($self, $path, $range, $sas) = @_;
    my $reply = Headpond::Http::request(url => "http://$self->{address}$path" . ($sas ? "?$sas" : ''), range => $range);
    die "origin: GET $path: $reply->{status}" unless $reply->{status} =~ /^20[06]$/;
    return $reply->{body};
}

sub stop { my ($self) = @_; return $self->{process}->stop }
sub stop_now { my ($self) = @_; return $self->{process}->stop_now }

1;
