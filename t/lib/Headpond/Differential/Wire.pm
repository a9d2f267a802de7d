# SPDX-License-Identifier: Apache-2.0
# One connection that is kept, raw bytes out, replies in: nothing between the test and what it sends.
package Headpond::Differential::Wire;
use strict;
use warnings;
use IO::Select;
use Time::HiRes qw(time);
use Headpond::Http;
use Headpond::Process;

my $IDLE_S = 3; # the Blob service closes after five

sub new {
    my ($class, $address) = @_;
    return bless { address => $address, used => 0 }, $class;
}

sub connect {
    my ($self) = @_;
    $self->{socket} = Headpond::Http::connect_to($self->{address});
    $self->{text} = '';
    $self->{fresh} = 1;
}

# Sends a request and reads its reply: status, headers [[name in lower case, value], ...], body, broken (why it is not
# whole). A kept connection that the peer has closed is opened anew.
sub exchange {
    my ($self, $method, $bytes) = @_;
    delete $self->{socket} if $self->{socket} && time - $self->{used} > $IDLE_S;
    for my $try (1, 2) {
        $self->connect unless $self->{socket};
        my $again = !$self->{fresh};
        my $reply = $self->try_once($method, $bytes);
        delete $self->{socket} if $reply->{broken} || $reply->{close};
        $self->{used} = time;
        return $reply if !$again || !$reply->{silent};
    }
}

sub try_once {
    my ($self, $method, $bytes) = @_;
    local $SIG{PIPE} = 'IGNORE';
    my $sent = 0;
    $self->{fresh} = 0;
    while ($sent < length $bytes) {
        my $n = syswrite $self->{socket}, $bytes, 1 << 20, $sent;
        last unless $n; # it may have answered
        $sent += $n;
    }
    my $reply = eval { $self->read_reply($method) };
    return $reply if $reply;
    return { status => 0, headers => [], body => '', broken => $@, silent => $self->{text} eq '' };
}

# At least so many bytes more in {text}.
sub more {
    my ($self) = @_;
    my $select = IO::Select->new($self->{socket});
    $select->can_read(30 * Headpond::Process::slowness()) or die "no answer in time\n";
    my $n = sysread $self->{socket}, $self->{text}, 1 << 20, length $self->{text};
    defined $n or die "the connection broke: $!\n";
    return $n;
}

sub line {
    my ($self) = @_;
    while (index($self->{text}, "\r\n") < 0) {
        $self->more or die "the connection ended early\n";
    }
    $self->{text} =~ s/\A(.*?)\r\n//s;
    return $1;
}

sub bytes {
    my ($self, $count) = @_;
    while (length $self->{text} < $count) {
        $self->more or die "the connection ended early\n";
    }
    return substr $self->{text}, 0, $count, '';
}

sub read_head {
    my ($self) = @_;
    my $line = $self->line;
    my ($status, $reason) = $line =~ m{^HTTP/1\.[01] (\d{3}) ?(.*)$} or die "no status line: $line\n";
    my @headers;
    while ((my $text = $self->line) ne '') {
        my ($name, $value) = $text =~ /^([^:\s]+):[ \t]*(.*?)[ \t]*$/ or die "no header: $text\n";
        push @headers, [lc $name, $value];
    }
    return { status => $status, reason => $reason, headers => \@headers };
}

sub read_reply {
    my ($self, $method) = @_;
    my $reply = $self->read_head;
    $reply = $self->read_head while $reply->{status} < 200;
    my %value = map { $_->[0] => $_->[1] } @{ $reply->{headers} };
    $reply->{close} = ($value{connection} // '') =~ /close/i;
    $reply->{body} = '';
    if ($method eq 'HEAD' || $reply->{status} == 304 || $reply->{status} == 204) {
        return $reply;
    } elsif (($value{'transfer-encoding'} // '') =~ /chunked/i) {
        while ((my $size = hex($self->line =~ s/;.*//r)) > 0) {
            $reply->{body} .= $self->bytes($size);
            $self->line;
        }
        1 while $self->line ne '';
    } elsif (defined $value{'content-length'}) {
        $value{'content-length'} =~ /^\d+$/ or die "a length that is none: $value{'content-length'}\n";
        $reply->{body} = $self->bytes($value{'content-length'});
    } else {
        1 while $self->more;
        $reply->{body} = $self->{text};
        $reply->{close} = 1;
    }
    return $reply;
}

1;
