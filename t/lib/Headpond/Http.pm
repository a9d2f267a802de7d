# SPDX-License-Identifier: Apache-2.0
# Requests as a test makes them: by curl over any of the four protocols, or as raw bytes on a socket.
package Headpond::Http;
use strict;
use warnings;
use File::Temp ();
use IO::Socket::INET;
use IO::Select;
use Time::HiRes qw(time);
use Headpond::Process;

our $certificate; # what TLS is checked against

my %curl_option = (
    h1 => ['--http1.1'], h1s => ['--http1.1'], h2c => ['--http2-prior-knowledge'], h2s => ['--http2'],
);

# Starts a request: url, method, proto, headers => ['Name: value'], range, body => TEXT or file => PATH, rate, chunked,
# timeout. Returns a job whose `finish` gives the reply.
sub start {
    my (%r) = @_;
    my $dir = File::Temp->newdir;
    my @command = (
        'curl', '-sS', '--path-as-is', '--noproxy', '*', '-o', ($r{method} // '') eq 'HEAD' ? '/dev/null' : "$dir/body", '-D', "$dir/head",
        '--max-time', ($r{timeout} // 60) * Headpond::Process::slowness(),
        @{ $curl_option{ $r{proto} // 'h1' } },
    );
    push @command, '--cacert', $certificate if $certificate;
    my $method = $r{method} // 'GET';
    push @command, $method eq 'HEAD' ? '--head' : ('-X', $method);
    push @command, '-H', "Range: $r{range}" if defined $r{range};
    push @command, '-H', $_ for @{ $r{headers} // [] };
    push @command, '--limit-rate', $r{rate} if $r{rate};
    if (defined $r{body}) {
        Headpond::Process::spew("$dir/sent", $r{body});
        $r{file} = "$dir/sent";
    }
    if (defined $r{file}) {
        push @command, '-T', $r{chunked} ? '-' : $r{file}, '-H', 'Expect:';
        push @command, '-H', 'Transfer-Encoding: chunked' if $r{chunked} && ($r{proto} // 'h1') =~ /^h1/;
        @command = ('sh', '-c', 'f=$1; shift; exec "$@" < "$f"', 'sh', $r{file}, @command) if $r{chunked};
    }
    my $process = Headpond::Process->start(command => [@command, $r{url}], log => "$dir/log", out => "$dir/out");
    return bless { process => $process, dir => $dir, timeout => $r{timeout} // 60, at => time }, 'Headpond::Http::Job';
}

sub request {
    return start(@_)->finish;
}

# A connection and nothing more.
sub connect_to {
    my ($address, $from) = @_;
    my @from = $from ? (LocalAddr => $from) : ();
    my $socket = IO::Socket::INET->new(PeerAddr => $address, @from, Proto => 'tcp', Timeout => 10) or die "$address: $!";
    binmode $socket;
    $socket->autoflush(1);
    return $socket;
}

# Reads until the peer closes, or the code says that the text is whole, or time is up. Returns text and how it ended:
# closed, whole, reset or silent.
sub read_all {
    my ($socket, $seconds, $whole) = @_;
    my ($text, $end) = ('', time + $seconds * Headpond::Process::slowness());
    my $select = IO::Select->new($socket);
    while (1) {
        return ($text, 'whole') if $whole && $whole->($text);
        my $left = $end - time;
        return ($text, 'silent') if $left <= 0 || !$select->can_read($left);
        my $n = sysread $socket, $text, 65536, length $text;
        return ($text, 'reset') unless defined $n;
        return ($text, 'closed') if $n == 0;
    }
}

# Sends bytes, reads what comes until the peer closes. A peer that closes early is no error here.
sub raw {
    my ($address, $bytes, $seconds, $whole) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $socket = connect_to($address);
    my $sent = 0;
    while ($sent < length $bytes) {
        my $n = syswrite $socket, $bytes, 65536, $sent;
        last unless $n;
        $sent += $n;
    }
    return read_all($socket, $seconds // 10, $whole);
}

# Splits the text of a reply: status, headers (names in lower case; repeated ones joined), body.
sub parse {
    my ($text) = @_;
    $text =~ s/\AHTTP\/[\d.]+ 1\d\d[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n//;
    my ($head, $body) = split /\r\n\r\n/, $text, 2;
    my ($line, @lines) = split /\r\n/, $head // '';
    my ($status) = ($line // '') =~ m{^HTTP/[\d.]+ (\d+)};
    my %headers;
    for (@lines) {
        my ($name, $value) = /^([^:]+):\s*(.*?)\s*$/ or next;
        $name = lc $name;
        $headers{$name} = exists $headers{$name} ? "$headers{$name}, $value" : $value;
    }
    return { status => $status // 0, headers => \%headers, body => $body // '', head => $head // '' };
}

package Headpond::Http::Job;

# The reply: status, headers, body, error (curl's exit code, 0 when the reply came whole), text (curl's words), seconds.
sub finish {
    my ($self) = @_;
    my $process = $self->{process};
    $process->wait_end($self->{timeout} + 10) // $process->stop_now;
    my @heads = split /(?<=\r\n\r\n)/, Headpond::Process::slurp("$self->{dir}/head");
    my $reply = Headpond::Http::parse($heads[-1] // '');
    $reply->{body} = Headpond::Process::slurp("$self->{dir}/body");
    $reply->{interim} = [map { m{^HTTP/\S+ (1\d\d)} ? $1 : () } @heads];
    $reply->{error} = ($process->{status} // -1) >> 8;
    $reply->{text} = Headpond::Process::slurp("$self->{dir}/log");
    $reply->{seconds} = Time::HiRes::time() - $self->{at};
    return $reply;
}

sub received {
    my ($self) = @_;
    return -s "$self->{dir}/body" // 0;
}

sub cancel {
    my ($self) = @_;
    $self->{process}->stop_now;
}

1;
